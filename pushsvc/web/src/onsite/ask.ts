import { ownURL } from "../shared/address";
import type { PopupsAnswer, PopupsRequest } from "../shared/popup_requests";
import type { SDK } from "../sdk/sdk";
import type { PageFacts, PopupRule } from "../shared/onsite";
import { local } from "../sdk/storage";

const nothing: PopupsAnswer = { popups: [] };

/** Asks the server which pop-ups this visitor may see here. Any other answer counts as no
 * pop-ups. */
export async function ask({ config, queue }: SDK, page: PageFacts, list: PopupRule[], preview: string | undefined, signal: AbortSignal): Promise<PopupsAnswer> {
  const { path, query, referrer, utm, device, language, visits } = page;
  const { "": _all, ...shown } = page.shown;
  const body: PopupsRequest = {
    session: queue.session(),
    seed: queue.seed,
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
  const response = await fetch(ownURL(config.prefix + "/messages"), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    credentials: "same-origin",
    signal,
  });
  // A site that answers every path with its start page also answers 200.
  if (response.status !== 200 || !/^application\/json\b/.test(response.headers.get("Content-Type") ?? "")) return nothing;
  const answer = (await response.json()) as PopupsAnswer;
  return Array.isArray(answer.popups) ? answer : nothing;
}
