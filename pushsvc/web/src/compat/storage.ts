import type { Memory } from "../sdk/storage";

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

/** Takes over when a visitor was asked last, unless we have asked since. */
export function adoptStorage(local: Memory): void {
  const asked = lastPrompt(read("WZRK_META"));
  if (asked > Number(local.get("asked"))) local.set("asked", String(asked));
}
