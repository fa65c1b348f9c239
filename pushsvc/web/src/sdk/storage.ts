// Storage throws where the visitor blocks site data: then the page remembers nothing, and
// everything else works.

import type { LocalValues, SessionValues } from "./storage_keys";

/** A store of texts that never throws. Values has the names and what each may hold. */
export interface Memory<Values> {
  /** Returns "" for an item that is missing. */
  get<Name extends keyof Values & string>(name: Name): Values[Name] | "";
  set<Name extends keyof Values & string>(name: Name, value: Values[Name]): void;
  remove(name: keyof Values & string): void;
}

type Area = "localStorage" | "sessionStorage";

/** All names are stored as `webpush:<name>`. The storage object is read each time,
 * because its getter is what throws. */
export function memory<Values>(area: Area): Memory<Values> {
  const attempt = (action: (storage: Storage) => string | null | void): string => {
    try {
      return action(window[area]) || "";
    } catch {
      return "";
    }
  };
  return {
    get: (name) => attempt((storage) => storage.getItem("webpush:" + name)) as never,
    set: (name, value) => void attempt((storage) => storage.setItem("webpush:" + name, value as string)),
    remove: (name) => void attempt((storage) => storage.removeItem("webpush:" + name)),
  };
}

/** The names in an area that begin with `webpush:<prefix>`, sorted and without `webpush:`. */
export function storedNames(area: Area, prefix = ""): string[] {
  try {
    return Object.keys(window[area])
      .filter((name) => name.startsWith("webpush:" + prefix))
      .map((name) => name.slice(8))
      .sort();
  } catch {
    return [];
  }
}

/** Outlives the visit. */
export const local = memory<LocalValues>("localStorage");
/** One tab session. */
export const session = memory<SessionValues>("sessionStorage");
