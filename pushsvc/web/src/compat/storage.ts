import type { Memory } from "../sdk/storage";
import { type LocalValues, outByCleverTap } from "../sdk/storage_keys";

/** A value of CleverTap's local storage: URI-encoded JSON; undefined for rubbish. */
export function read(name: string): unknown {
  try {
    const text = localStorage.getItem(name) ?? "";
    return JSON.parse(text.startsWith("%") ? decodeURIComponent(text) : text);
  } catch {
    return undefined;
  }
}

/** Milliseconds of CleverTap's last prompt, of whatever kind, 0 for never. It
 * counts in seconds. */
export function lastPrompt(meta: unknown): number {
  if (typeof meta !== "object" || meta === null) return 0;
  const { notif_last_time: box, webpush_last_notif_time: newer } = meta as Record<string, unknown>;
  const seconds = [box, newer].map(Number).filter((number) => number > 0);
  return seconds.length ? Math.max(...seconds) * 1000 : 0;
}

/** What CleverTap knew of this visitor, kept as JSON in `webpush:ct`. */
export interface Known {
  /** Its device id, from WZRK_G. */
  id?: string;
  /** Who had logged in, from WZRK_K: Identity, Email, GP:<id>, FB:<id>. */
  identities?: string[];
  /** Campaigns that were closed for good, from WZRK_CAMP. */
  dismissed?: string[];
}

/** Texts of a list or of one value, of sensible length and number. */
const texts = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value])
    .filter((one) => typeof one === "string" || typeof one === "number")
    .map(String)
    .filter((one) => one && one.length <= 256)
    .slice(0, 100);

const member = (value: unknown, name: string): unknown => (value as Record<string, unknown> | null | undefined)?.[name];

/** Reads what WZRK_G, WZRK_K and WZRK_CAMP hold. out says that the visitor had
 * opted out, which CleverTap notes behind the device id. */
export function known(device: unknown, login: unknown, campaigns: unknown): { known: Known; out: boolean } {
  const id = texts(device)[0] ?? "";
  const all: Known = { id: id.replace(/:OO$/, ""), identities: texts(member(login, "id")), dismissed: texts(member(campaigns, "dnd")) };
  const found = Object.fromEntries(Object.entries(all).filter(([, value]) => value.length));
  return { known: found, out: id.endsWith(":OO") };
}

/** Takes over when a visitor was asked last, unless we have asked since, who the
 * visitor was, and that of an opt-out. */
export function adoptStorage(local: Memory<LocalValues>): void {
  const asked = lastPrompt(read("WZRK_META"));
  if (asked > Number(local.get("asked"))) local.set("asked", String(asked));
  const { known: found, out } = known(read("WZRK_G"), read("WZRK_K"), read("WZRK_CAMP"));
  if (Object.keys(found).length) local.set("ct", JSON.stringify(found));
  if (!out || local.get("out")) return;
  local.set("out", outByCleverTap);
  local.set("optout", "1");
}
