// Where pop-ups apply, as far as a page can tell (Go: package onsite;
// pushsvc/onsite/testdata/cases.json tests both).

import { like, pathAllowed } from "./path";
import type { PopupUTM, Rule as PopupRule } from "./server";

export type { PopupsConfig, Rule as PopupRule } from "./server";

/** Where the visitor is, and how they came. */
export interface PageFacts {
  path: string;
  /** location.search */
  query: string;
  /** URL; "" without a referrer. */
  referrer: string;
  /** Of the visit; missing members are taken from query. */
  utm?: PopupUTM;
  device: "desktop" | "phone" | "tablet";
  language: string;
  /** How many visits, this one included. */
  visits: number;
  /** Milliseconds since 1970. */
  now: number;
  /** How often each pop-up was seen in this session. */
  shown: Record<string, number>;
}

/** Reports whether the pop-up can apply here, as far as a page can tell. */
export function couldApply({ id, where = {}, from, until, session }: PopupRule, page: PageFacts): boolean {
  const { paths, query = {}, referrer, utm = {}, devices, languages, visitors } = where;
  const params = new URLSearchParams(page.query);
  let host = "";
  try {
    host = new URL(page.referrer).hostname;
  } catch {}
  return (
    pathAllowed(page.path, paths) &&
    Object.entries(query).every(([name, pattern]) => params.getAll(name).some((value) => like(value, [pattern]))) &&
    (!referrer || like(host, referrer)) &&
    Object.entries(utm).every(([name, pattern]) => like(page.utm?.[name as "source"] || params.get("utm_" + name) || "", [pattern])) &&
    (!devices || devices.includes(page.device)) &&
    (!languages || languages.some((tag) => (page.language.toLowerCase() + "-").startsWith(tag + "-"))) &&
    (!visitors || (visitors === "new") === page.visits < 2) &&
    !(page.now < +new Date(from!)) &&
    !(page.now >= +new Date(until!)) &&
    !((page.shown[id] ?? 0) >= session!)
  );
}
