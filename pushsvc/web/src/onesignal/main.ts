// onesignal.js: window.OneSignal, on the same code as window.webpush.

import type { SDK } from "../sdk/sdk";
import { local } from "../sdk/storage";
import { attempt } from "./emitter";
import { OneSignal } from "./onesignal";
import { adoptKnown, knownVisitor, readDatabase, silenced } from "./storage";

/** Turns every queue on the page into the API, after reading what OneSignal left in the
 * browser: the page's calls depend on it. */
export async function install(sdk: SDK): Promise<OneSignal> {
  if (!local.get("adopted")) await adoptStorage();
  const api = new OneSignal(sdk);
  takeOver(api);
  return api;
}

/** Replaces the page's queues by the API, and replays what waits in them. */
export function takeOver(api: OneSignal): void {
  const call = (item: unknown) => attempt(() => (item as (api: OneSignal) => unknown)(api));
  replace("OneSignalDeferred", { push: (...items) => items.map(call)[0] });
  replace("OneSignal", api);
}

/** Reads what OneSignal left in the visitor's storage. Runs once in a browser. */
export async function adoptStorage(): Promise<void> {
  let prompt: string | null = null;
  try {
    prompt = localStorage.getItem("onesignal-notification-prompt");
  } catch {
    // The visitor blocks site data.
  }
  adoptKnown(local, knownVisitor(await readDatabase()), silenced(prompt, Date.now()), Date.now());
  local.set("adopted", "1");
}

interface Queue {
  push(...items: unknown[]): unknown;
}

/** Pages create a queue before or after us, and may keep a reference to it. */
function replace(name: string, ours: Queue): void {
  const page = window as unknown as Record<string, unknown>;
  const replay = (queue: unknown) => {
    if (!Array.isArray(queue)) return;
    const items = queue.splice(0);
    queue.push = (...later: unknown[]) => (ours.push(...later), 0);
    ours.push(...items);
  };
  const before = page[name];
  try {
    Object.defineProperty(page, name, { get: () => ours, set: replay, configurable: true, enumerable: true });
  } catch {
    page[name] = ours; // declared by `var` in an earlier script: not configurable
  }
  replay(before);
}
