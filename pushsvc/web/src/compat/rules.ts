// What CleverTap accepts as names, keys and values, and its error messages.

import type { Log } from "./log";

const longest = 1024;
const reserved = ["Stayed", "UTM Visited", "App Launched", "Notification Sent", "Notification Viewed", "Notification Clicked"];

/** The characters that CleverTap removes from names and keys, and from texts. */
const unfitInKeys = /^\s+|[.:$'"\\]|\s+$/g;
const unfitInTexts = /^\s+|['"\\]|\s+$/g;

/** Returns an event's name as it is kept, undefined if the event is dropped. */
export function eventName(name: unknown, log: Log): string | undefined {
  if (typeof name !== "string" || !name) return void log.error("Event name should be string", 510);
  if (name.length > longest) log.error(`Event name is longer than ${longest} characters and was cut`, 510);
  const kept = name.slice(0, longest);
  if (reserved.includes(kept)) return void log.error(`${kept} is a restricted event name; it was dropped`, 513);
  return kept.replace(unfitInKeys, "").replace(unfitInTexts, "") || undefined;
}

/** Limits: levels of objects and lists below the outermost, objects and lists per level,
 * members of a list, names in all. Everything beyond them is dropped. */
const deepest = 3;
const widest = 5;
const longestList = 100;
const mostNames = 100;

/** The state of reading one object. */
interface Reading {
  log: Log;
  names: number;
  /** Codes of the errors that were logged already. */
  logged: Set<number>;
}

/** Reports whether a value is an object other than a list or a date. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);

/** Returns the text, number or boolean inside a wrapper object such as new Number(1). */
export const unboxed = (value: unknown): unknown =>
  value instanceof String || value instanceof Number || value instanceof Boolean ? value.valueOf() : value;

/** Returns the properties to keep: without the characters that CleverTap removes, cut to
 * its lengths, dates as $D_<seconds>, nothing empty, and nested no further than its limits
 * (541 to 545). JSON can always express them. */
export function properties(given: Record<string, unknown>, log: Log): Record<string, unknown> {
  return members(given, { log, names: 0, logged: new Set() }, 0, "", 543);
}

function exceeded(reading: Reading, what: string, count: string, limit: number, code: number): void {
  if (!reading.logged.has(code)) reading.log.error(`Event data exceeded maximum ${what}. ${count}, Limit: ${limit}`, code);
  reading.logged.add(code);
}

function members(
  given: Record<string, unknown>,
  reading: Reading,
  depth: number,
  path: string,
  code: number,
): Record<string, unknown> {
  const kept: [string, unknown][] = [];
  let nested = 0;
  for (const [name, boxed] of Object.entries(given)) {
    const value = unboxed(boxed);
    const key = keyOf(name, reading.log);
    const at = path ? `${path}.${key}` : key;
    const container = isObject(value) || Array.isArray(value);
    if (!key || (container && nested >= widest)) {
      if (key) exceeded(reading, code === 542 ? "array key count" : "object key count", `Count: ${nested + 1}`, widest, code);
      continue;
    }
    if (reading.names >= mostNames) {
      exceeded(reading, "key-value pair count", `Count: ${mostNames + 1}`, mostNames, 544);
      break;
    }
    reading.names++;
    const clean = valueOf(value, reading, depth, at);
    if (clean === undefined) reading.names--;
    else kept.push([key, clean]);
    if (container && clean !== undefined) nested++;
  }
  return Object.fromEntries(kept);
}

function keyOf(name: string, log: Log): string {
  const key = name.replace(unfitInKeys, "");
  if (key.length > longest) log.error(`Property key is longer than ${longest} characters and was cut`, 520);
  return key.slice(0, longest);
}

/** Returns a value as it is kept, undefined if it is dropped. */
function valueOf(value: unknown, reading: Reading, depth: number, at: string, inList = false): unknown {
  if (Array.isArray(value) || isObject(value)) {
    // An object in a list is one level below the list, as CleverTap counts.
    const below = Array.isArray(value) && !inList ? depth : depth + 1;
    if (below > deepest) return exceeded(reading, "nesting depth", `Depth: ${below}`, deepest, 541);
    const clean = Array.isArray(value)
      ? list(value, reading, below, at)
      : members(value, reading, below, at, inList ? 542 : 543);
    if (Object.keys(clean).length) return clean;
    return reading.log.info(`545: Empty value for key '${at}' was removed`);
  }
  const clean = plain(value, reading.log);
  return clean === undefined ? reading.log.info(`545: Null value for key '${at}' was removed`) : clean;
}

function list(given: unknown[], reading: Reading, depth: number, at: string): unknown[] {
  if (given.length > longestList) exceeded(reading, "array length", `Length: ${given.length}`, longestList, 543);
  return given
    .slice(0, longestList)
    .map((value, i) => valueOf(unboxed(value), reading, depth, `${at}[${i}]`, true))
    .filter((value) => value !== undefined);
}

/** Returns a text, number, boolean or date as it is kept, undefined for anything else. */
export function plain(value: unknown, log: Log): unknown {
  if (value instanceof Date) return isNaN(+value) ? undefined : "$D_" + Math.round(+value / 1000);
  if (typeof value === "boolean" || (typeof value === "number" && isFinite(value))) return value;
  if (typeof value !== "string") return undefined;
  const text = value.replace(unfitInTexts, "");
  if (text.length > longest) log.error(`Property value is longer than ${longest} characters and was cut`, 521);
  return text.slice(0, longest);
}

/** Returns the properties of a Charged event as they are kept, undefined if it is dropped.
 * Only Items may be nested: it is a list of flat objects. */
export function charge(given: Record<string, unknown>, log: Log): Record<string, unknown> | undefined {
  const { Items: items = [], ...others } = given;
  const flat = (value: unknown): value is Record<string, unknown> =>
    isObject(value) && !Object.values(value).some((member) => isObject(unboxed(member)) || Array.isArray(member));
  if (!Array.isArray(items) || !items.every(flat) || !flat(others)) {
    return void log.error("Charged event structure invalid; it was dropped", 511);
  }
  if (items.length > 50) log.error("Charged Items exceed 50 limit; the rest was dropped", 522);
  const kept = properties(others, log);
  return items.length ? { ...kept, Items: items.slice(0, 50).map((item) => properties(item, log)) } : kept;
}
