import type { Memory } from "../sdk/storage";
import { type LocalValues, outByCleverTap } from "../sdk/storage_keys";

/** Reads a value of CleverTap's localStorage, URI-encoded JSON; undefined if it cannot be
 * read. */
export function read(name: string): unknown {
  try {
    const text = localStorage.getItem(name) ?? "";
    return JSON.parse(text.startsWith("%") ? decodeURIComponent(text) : text);
  } catch {
    return undefined;
  }
}

/** Time of CleverTap's last prompt of either kind in ms; 0: never. CleverTap stores seconds. */
export function lastPrompt(meta: unknown): number {
  if (typeof meta !== "object" || meta === null) return 0;
  const { notif_last_time: box, webpush_last_notif_time: newer } = meta as Record<string, unknown>;
  const seconds = [box, newer].map(Number).filter((number) => number > 0);
  return seconds.length ? Math.max(...seconds) * 1000 : 0;
}

/** What another provider knew of this visitor, as JSON in `webpush:ct`. */
export interface KnownVisitor {
  /** CleverTap's device id, from WZRK_G. */
  id?: string;
  /** Who was logged in, from WZRK_K: Identity, Email, GP:<id>, FB:<id>. */
  identities?: string[];
  /** Campaigns that the visitor closed for good, from WZRK_CAMP. */
  dismissed?: string[];
}

/** The texts in a list or a single value, limited in length and number. */
const texts = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value])
    .filter((item) => typeof item === "string" || typeof item === "number")
    .map(String)
    .filter((text) => text && text.length <= 256)
    .slice(0, 100);

const member = (value: unknown, name: string): unknown => (value as Record<string, unknown> | null | undefined)?.[name];

/** Reads the values of WZRK_G, WZRK_K and WZRK_CAMP. out reports an opt-out, which
 * CleverTap appends to the device id. */
export function knownVisitor(device: unknown, login: unknown, campaigns: unknown): { known: KnownVisitor; out: boolean } {
  const id = texts(device)[0] ?? "";
  const all: KnownVisitor = { id: id.replace(/:OO$/, ""), identities: texts(member(login, "id")), dismissed: texts(member(campaigns, "dnd")) };
  const found = Object.fromEntries(Object.entries(all).filter(([, value]) => value.length));
  return { known: found, out: id.endsWith(":OO") };
}

/** Takes over the time of CleverTap's last prompt, unless we have asked since, and who the
 * visitor was, and an opt-out. */
export function adoptStorage(local: Memory<LocalValues>): void {
  const asked = lastPrompt(read("WZRK_META"));
  if (asked > Number(local.get("asked"))) local.set("asked", String(asked));
  const { known: found, out } = knownVisitor(read("WZRK_G"), read("WZRK_K"), read("WZRK_CAMP"));
  if (Object.keys(found).length) local.set("ct", JSON.stringify(found));
  if (!out || local.get("out")) return;
  local.set("out", outByCleverTap);
  local.set("optout", "1");
}
