// What CleverTap's API records on the SDK's queue, and a copy of it in this browser, from
// which the getters answer: they cannot wait for the server.

import type { Identity, ProfileOp, Value } from "../shared/entries";
import type { SDK } from "../sdk/sdk";
import { checksum } from "../sdk/checksum";
import { local } from "../sdk/storage";
import { read } from "./storage";

/** Limits of the copy: number of events, characters of the profile. */
const mostEvents = 200;
const longestProfile = 20_000;

/** As in CleverTap's WZRK_EV: how often, first and last time in seconds. */
type Count = [count: number, first: number, last: number];

type Values = Record<string, unknown>;

const stored = <T>(name: "ev" | "pr"): Record<string, T> => {
  try {
    return JSON.parse(local.get(name)) ?? {};
  } catch {
    return {};
  }
};

const meta = (): Values => (read("WZRK_META") as Values | undefined) ?? {};

/** Counts an event. A new name is dropped once mostEvents names are counted. */
export function counted(events: Record<string, Count>, name: string, seconds: number): Record<string, Count> {
  const known = Object.entries(events).find(([other]) => other === name)?.[1];
  if (!known && Object.keys(events).length >= mostEvents) return events;
  const [count, first] = known ?? [0, seconds];
  return { ...events, [name]: [count + 1, first, seconds] };
}

/** Adds CleverTap's count and ours. */
export function sumOf(theirs: Count | undefined, ours: Count | undefined): Count | undefined {
  if (!theirs || !ours) return ours ?? theirs;
  return [theirs[0] + ours[0], Math.min(theirs[1], ours[1]), Math.max(theirs[2], ours[2])];
}

/** Returns the profile as the server has it after an operation. It leaves paths into nested
 * values to the server. */
export function operated(values: Values, { op, key, value }: ProfileOp): Values {
  const { [key]: before, ...others } = values;
  const list = (some: unknown): unknown[] => (some == null ? [] : [some].flat());
  if (op === "delete") return others;
  if (op === "incr" || op === "decr") {
    if (before !== undefined && typeof before !== "number") return values;
    return { ...values, [key]: (before ?? 0) + (op === "incr" ? 1 : -1) * Number(value) };
  }
  const given = list(value);
  if (op === "set") return { ...values, [key]: given };
  if (op === "add") return { ...values, [key]: [...new Set([...list(before), ...given])] };
  return before === undefined ? values : { ...values, [key]: list(before).filter((item) => !given.includes(item)) };
}

/** The identities in a profile, in CleverTap's order. */
function identitiesOf(profile: Values): Identity[] {
  return ([["Identity", "identity"], ["Email", "email"], ["GPID", "gpid"], ["FBID", "fbid"]] as const).flatMap(([name, kind]) => {
    const value = profile[name];
    return (typeof value === "string" && value) || typeof value === "number" ? [{ kind, value: String(value) }] : [];
  });
}

/** Distinguishes one login from another. */
const mark = (text: string): string => text.length + "." + checksum(text);

export class People {
  constructor(private readonly sdk: SDK) {
    this.pageSeen();
  }

  /** Reports whether the event was recorded. */
  event(name: string, props: Values): boolean {
    if (!this.sdk.event(name, props)) return false;
    local.set("ev", JSON.stringify(counted(stored<Count>("ev"), name, Math.round(Date.now() / 1000))));
    return true;
  }

  set(profile: Values): boolean {
    return this.profile({ set: profile }, { ...stored("pr"), ...profile });
  }

  operate(key: string, operation: Values): boolean {
    const [name, value] = Object.entries(operation)[0]!;
    const op = { op: name.slice(1) as ProfileOp["op"], key, ...(name !== "$delete" && { value: value as Value }) };
    return this.profile({ ops: [op] }, /[.[]/.test(key) ? stored("pr") : operated({ ...(read("WZRK_PR") as Values), ...stored("pr") }, op));
  }

  private profile(change: { set?: Values; ops?: ProfileOp[] }, after: Values): boolean {
    if (!this.sdk.record({ type: "profile", ...change })) return false;
    const text = JSON.stringify(after);
    if (text.length < longestProfile) local.set("pr", text);
    return true;
  }

  /** Records a login. Sites call it on every page: an unchanged login is recorded once in a
   * visit. */
  login(profile: Values, signature: unknown): boolean {
    const identities = identitiesOf(profile);
    if (!identities.length) return this.set(profile);
    const who = mark(JSON.stringify(identities));
    const login = mark(JSON.stringify(profile) + this.start());
    if (local.get("login") === login) return true;
    const entry = { type: "login" as const, identities, set: profile, ...(typeof signature === "string" && { signature }) };
    if (!this.sdk.record(entry)) return false;
    // The copy is another person's.
    if (local.get("who") && local.get("who") !== who) this.forget();
    local.set("who", who);
    local.set("login", login);
    local.set("pr", JSON.stringify({ ...stored("pr"), ...profile }));
    return true;
  }

  /** Records the site's own id of this browser, which becomes an alias of the person who is logged
   * in. Returns false for an id that CleverTap does not accept. */
  recordAlias(id: unknown): boolean {
    const name = "_w_" + String(id).toLowerCase();
    if (!/^_w_[a-z0-9()!:@$_-]{1,64}$/.test(name)) return false;
    if (local.get("cid") !== name && this.sdk.record({ type: "adopt", device: name })) local.set("cid", name);
    return true;
  }

  /** Logs the visitor out. */
  logout(): void {
    this.forget();
    void this.sdk.logout();
  }

  private forget(): void {
    for (const name of ["ev", "pr", "who", "login", "cid"] as const) local.remove(name);
    // CleverTap's own copies belong to the same person.
    local.set("stranger", "1");
  }

  details(name: string): { firstTime: Date; lastTime: Date; count: number } | undefined {
    const theirs = this.theirs<Record<string, Count>>("WZRK_EV");
    const [count, first, last] = sumOf(theirs?.[name], stored<Count>("ev")[name]) ?? [];
    return count && first && last ? { firstTime: new Date(first * 1000), lastTime: new Date(last * 1000), count } : undefined;
  }

  attribute(name: string): unknown {
    return { ...this.theirs<Values>("WZRK_PR"), ...stored("pr") }[name];
  }

  private theirs<T>(name: string): T | undefined {
    return local.get("stranger") ? undefined : (read(name) as T | undefined);
  }

  visits(): number {
    return (Number(meta().sc) || 0) + Number(local.get("visits"));
  }

  lastVisit(): Date | undefined {
    const time = Number(local.get("before")) || Number(meta().ps) * 1000;
    return time ? new Date(time) : undefined;
  }

  elapsed(): number {
    return Math.floor((Date.now() - (Number(this.start()) || Date.now())) / 1000);
  }

  pages(): number {
    return Number(local.get("pages").split(" ")[1]) || 1;
  }

  pageSeen(): void {
    this.sdk.continueVisit();
    const start = this.start();
    const [visit, pages] = local.get("pages").split(" ");
    local.set("pages", start + " " + (visit === start ? Number(pages) + 1 : 1));
  }

  private start(): string {
    return local.get("visit").split(" ")[0]!;
  }

  /** Records the location. Without numbers it asks the browser, which asks the visitor; the
   * answer counts for a day. */
  location(latitude?: number, longitude?: number): void {
    if (latitude !== undefined && longitude !== undefined) {
      this.sdk.profile({ Latitude: latitude, Longitude: longitude });
      return;
    }
    const [at, lat, lng] = local.get("geo").split(" ").map(Number);
    if (at && Math.abs(Date.now() - at) < 86_400_000) return this.location(lat, lng);
    navigator.geolocation?.getCurrentPosition(({ coords: { latitude, longitude } }) => {
      local.set("geo", [Date.now(), latitude, longitude].join(" "));
      this.location(latitude, longitude);
    });
  }
}
