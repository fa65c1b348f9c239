import type { Entry, UTM } from "../shared/entries";

const longest = 120;

/** The entry of a visit: its first page without query and fragment, and the referrer if
 * that is another site. visit: the value of `webpush:visit`. */
export function visitEntry(visit: string): (Entry & { type: "visit"; time: number }) | undefined {
  const [time, href, from] = visit.split(" ");
  const page = address(href);
  if (!Number(time) || !page) return undefined;
  const entry: Entry & { type: "visit"; time: number } = { type: "visit", page: page.pathname, time: Number(time) };
  const referrer = address(from);
  if (!referrer || referrer.host === page.host) return entry;
  entry.referrer = referrer.origin + referrer.pathname;
  const utm = utmOf(page.searchParams);
  if (utm) entry.utm = utm;
  return entry;
}

/** Returns visit with only the campaign left of its queries. */
export function withoutQuery(visit: string): string {
  const [time, href, from] = visit.split(" ");
  const page = address(href);
  if (!page) return visit;
  const kept = new URLSearchParams(Object.entries(utmOf(page.searchParams) ?? {}).map(([name, value]) => ["utm_" + name, value]));
  const referrer = address(from);
  return [time, page.origin + page.pathname + "?" + kept, referrer ? referrer.origin + referrer.pathname : ""].join(" ");
}

function utmOf(query: URLSearchParams): UTM | undefined {
  const utm: UTM = {};
  for (const name of ["source", "medium", "campaign"] as const) {
    const value = query.get("utm_" + name) || query.get("wzrk_" + name);
    if (value) utm[name] = value.slice(0, longest);
  }
  return Object.keys(utm).length ? utm : undefined;
}

function address(text: string | undefined): URL | undefined {
  try {
    return new URL(text!);
  } catch {
    return undefined;
  }
}
