// Where the visitor is and how they came, and which pop-ups could apply there.

import { couldApply, type PageFacts, type PopupRule, type PopupsConfig } from "../shared/onsite";
import { deviceOf } from "./device";
import { local } from "./storage";

/** How often each pop-up was seen in this visit; "" counts all that have a limit. */
export function shownNow(): Record<string, number> {
  try {
    return JSON.parse(local.get("shown"));
  } catch {
    return {};
  }
}

/** The facts that a page knows. Referrer and campaign are those of the visit's first page. */
export function pageFacts(now: number): PageFacts {
  const [, landing = "", referrer = ""] = local.get("visit").split(" ");
  const utm: Record<string, string> = {};
  new URLSearchParams(landing.split("?")[1]).forEach((value, name) => {
    if (name.startsWith("utm_")) utm[name.slice(4)] = value;
  });
  return {
    path: location.pathname,
    query: location.search,
    referrer,
    utm,
    device: deviceOf(navigator.userAgent, navigator.maxTouchPoints),
    language: document.documentElement.lang || navigator.language,
    visits: Number(local.get("visits")) || 1,
    now,
    shown: shownNow(),
  };
}

/** The pop-ups that could apply, as far as a page can tell. */
export function candidates({ list, perSession }: PopupsConfig, page: PageFacts): PopupRule[] {
  return list.filter((rule) => (rule.free || !(page.shown[""]! >= perSession!)) && couldApply(rule, page));
}
