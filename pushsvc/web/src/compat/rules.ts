// What CleverTap takes for a name, a key, a value, and what it says otherwise.

import type { Log } from "./log";

const longest = 1024;
const reserved = ["Stayed", "UTM Visited", "App Launched", "Notification Sent", "Notification Viewed", "Notification Clicked"];

/** An event's name as it is kept, undefined for one that is dropped. */
export function eventName(name: unknown, log: Log): string | undefined {
  if (typeof name !== "string" || !name) return void log.error("Event name should be string", 510);
  if (name.length > longest) log.error(`Event name is longer than ${longest} characters and was cut`, 510);
  const kept = name.slice(0, longest);
  if (reserved.includes(kept)) return void log.error(`${kept} is a restricted event name; it was dropped`, 513);
  return kept;
}

/** Properties as they are kept: keys and texts without the characters that
 * CleverTap takes out, no longer than it keeps them, dates as $D_<seconds>. */
export function properties(given: Record<string, unknown>, log: Log): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    let key = name.replace(/[.:$'"\\]/g, "").trim();
    if (key.length > longest) {
      log.error(`Property key is longer than ${longest} characters and was cut`, 520);
      key = key.slice(0, longest);
    }
    if (key && value != null) kept[key] = plain(value, log);
  }
  return kept;
}

function plain(value: unknown, log: Log): unknown {
  if (value instanceof Date) return "$D_" + Math.round(value.getTime() / 1000);
  if (typeof value !== "string") return value;
  const text = value.replace(/['"\\]/g, "");
  if (text.length > longest) log.error(`Property value is longer than ${longest} characters and was cut`, 521);
  return text.slice(0, longest);
}

const flat = (value: unknown): boolean => typeof value !== "object" || value === null || value instanceof Date;

/** Whether a Charged event is well formed: Items, and nothing else, is a list of
 * flat objects. */
export function chargedFits(props: Record<string, unknown>, log: Log): boolean {
  const items = props.Items ?? [];
  const fits =
    Array.isArray(items) &&
    items.every((item) => typeof item === "object" && item !== null && Object.values(item).every(flat)) &&
    Object.entries(props).every(([name, value]) => name === "Items" || flat(value));
  if (!fits) log.error("Charged event structure invalid; it was dropped", 511);
  else if (items.length > 50) log.error("Charged Items exceed 50 limit; the rest was dropped", 522);
  return fits;
}
