import type { When } from "./when";
import type { WirePopup } from "../shared/popup";
import type { SDK } from "../sdk/sdk";
import type { PageFacts, PopupRule } from "../shared/onsite";
import { local } from "../sdk/storage";

/** One that this visitor would see but for being in its control group: reported
 * when it would have been shown. */
export interface Control {
  id: string;
  variant: string;
  token: string;
  priority?: number;
  when?: When;
  caps?: { session?: number };
}

export interface Answer {
  popups: WirePopup[];
  controls?: Control[];
  /** An operator looks at it: shown at once, and nothing is reported. */
  preview?: boolean;
}

const nothing: Answer = { popups: [] };

/** Asks the server which pop-ups this visitor may see here. No answer is none. */
export async function ask({ config, queue }: SDK, page: PageFacts, list: PopupRule[], preview: string | undefined, signal: AbortSignal): Promise<Answer> {
  const { path, query, referrer, utm, device, language, visits } = page;
  const { "": _all, ...shown } = page.shown;
  const body = {
    session: queue.session(),
    page: { path, query, referrer, utm },
    device,
    language,
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    visits,
    views: Number(local.get("views")),
    candidates: list.map(({ id }) => id),
    shown,
    preview,
  };
  const response = await fetch(config.prefix + "/messages", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    credentials: "same-origin",
    signal,
  });
  // A site that answers every path with its start page says 200 too.
  if (response.status !== 200 || !/^application\/json\b/.test(response.headers.get("Content-Type") ?? "")) return nothing;
  const answer = (await response.json()) as Answer;
  return Array.isArray(answer.popups) ? answer : nothing;
}
