// Storage throws where the visitor blocks site data: then nothing is
// remembered, and everything else works on.

/** A string store that never throws. */
export interface Memory {
  get(name: string): string;
  set(name: string, value: string): void;
  remove(name: string): void;
}

/** All names are stored as `webpush:<name>`. The storage object is fetched anew
 * each time because its getter is what throws. */
export function memory(kind: "localStorage" | "sessionStorage"): Memory {
  const attempt = (action: (storage: Storage) => string | null | void): string => {
    try {
      return action(window[kind]) || "";
    } catch {
      return "";
    }
  };
  return {
    get: (name) => attempt((storage) => storage.getItem("webpush:" + name)),
    set: (name, value) => void attempt((storage) => storage.setItem("webpush:" + name, value)),
    remove: (name) => void attempt((storage) => storage.removeItem("webpush:" + name)),
  };
}

/** Outlives the visit: asked, refusals, out, views, sub, topics, adopted, ct, charged. */
export const local = memory("localStorage");
/** One tab session: since, synced, worker, debug, pages. */
export const session = memory("sessionStorage");
