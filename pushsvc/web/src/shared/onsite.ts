// What a page can tell by itself about where pop-ups are (Go: package onsite;
// both are tested by pushsvc/onsite/testdata/cases.json).

import { like, pathAllowed } from "./path";

/** One running pop-up, as every page is told (Go: onsite.Rule). Patterns cover
 * the whole text; `*` stands for anything. */
export interface PopupRule {
  id: string;
  where?: {
    paths?: { in?: string[]; out?: string[] };
    /** Parameters that must be there, and patterns of their values. */
    query?: Record<string, string>;
    /** Hosts; "" is none. */
    referrer?: string[];
    utm?: { source?: string; medium?: string; campaign?: string };
    devices?: string[];
    /** Lower case; "de" is also de-AT. */
    languages?: string[];
    visitors?: "new" | "returning";
  };
  /** Whichever happens first; none: at once. */
  when?: { seconds?: number; scroll?: number; idle?: number; exit?: boolean; event?: string; click?: string };
  /** Milliseconds since 1970, or a time by the visitor's own clock. */
  from?: number | string;
  until?: number | string;
  /** At most so often in one session. */
  session?: number;
  priority?: number;
  /** Does not count among all pop-ups of a session. */
  free?: boolean;
}

/** Config.popups; absent where none is running. */
export interface PopupsConfig {
  /** Changes with the list. */
  v: string;
  list: PopupRule[];
  /** At most so many pop-ups in one session; missing: no bound. */
  perSession?: number;
}

/** Where the visitor is, and how they came. */
export interface PageFacts {
  path: string;
  /** location.search */
  query: string;
  /** URL; "" for none. */
  referrer: string;
  /** Of the visit; what is missing is taken from query. */
  utm?: { source?: string; medium?: string; campaign?: string };
  device: "desktop" | "phone" | "tablet";
  language: string;
  /** This one included. */
  visits: number;
  /** Milliseconds since 1970. */
  now: number;
  /** How often each pop-up was seen in this session. */
  shown: Record<string, number>;
}

/** Whether the pop-up can apply here, as far as a page can tell. */
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
