// compat.js: window.clevertap, on the same code as window.webpush.

import type { SDK } from "../sdk/sdk";
import { local } from "../sdk/storage";
import type { Call, Stub } from "../sdk/stub";
import type { Config } from "../shared/wire";
import { CleverTap } from "./clevertap";
import * as storage from "./storage";
import { useWorker } from "./worker";

/** Turns every stub on the page into the API and replays its calls, then the calls recorded
 * by stub.ts. A function that the page took from a stub calls the API from then on. */
export function install(sdk: SDK, config: Config, stubs: Stub[], calls: Call[] = []): CleverTap {
  const api = new CleverTap(sdk);
  if (local.get("worker")) useWorker(config, local.get("worker"));
  const page = window as unknown as Record<string, unknown>;
  // The page's calls depend on it: it has the last prompt and the opt-out.
  if (!local.get("adopted")) adoptStorage();
  for (const name of ["$WZRK_WR", "$CLTP_WR"]) page[name] ??= api.responses;
  for (const stub of stubs) api.adopt(stub);
  calls.splice(0).forEach(api.call);
  calls.push = (...later) => (later.forEach(api.call), 0);
  return api;
}

/** Reads what CleverTap left in the visitor's storage. Runs once in a browser. */
export function adoptStorage(): void {
  storage.adoptStorage(local);
  local.set("adopted", "1");
}
