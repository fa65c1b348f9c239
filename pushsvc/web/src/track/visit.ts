import type { Entry, UTM } from "../shared/entries";

const longest = 120;

/** The first page of a visit as the server is told: without query and fragment, and
 * where the visitor came from only if that was another site. landing is what the
 * SDK has noted: time, address, referrer. */
export function visitEntry(landing: string): (Entry & { type: "visit"; time: number }) | undefined {
  const [time, href, from] = landing.split(" ");
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
