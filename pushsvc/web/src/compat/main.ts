// compat.js: window.clevertap on the same code as window.webpush.

import type { SDK } from "../sdk/sdk";
import { local } from "../sdk/storage";
import type { Call, Stub } from "../sdk/stub";
import type { Config } from "../shared/wire";
import { CleverTap } from "./clevertap";
import * as storage from "./storage";
import { useWorker } from "./worker";

/** Makes the API of every stub on the page and replays what they hold, then what was
 * called. Whoever keeps one of the functions from before goes on to call the API. */
export function install(sdk: SDK, config: Config, stubs: Stub[], calls: Call[] = []): CleverTap {
  const api = new CleverTap(sdk);
  if (local.get("worker")) useWorker(config, local.get("worker"));
  const page = window as unknown as Record<string, unknown>;
  // What the page wants depends on it: who was asked lately, who opted out.
  if (!local.get("adopted")) adoptStorage();
  for (const name of ["$WZRK_WR", "$CLTP_WR"]) page[name] ??= api.responses;
  for (const stub of stubs) api.adopt(stub);
  calls.splice(0).forEach(api.call);
  calls.push = (...later) => (later.forEach(api.call), 0);
  return api;
}

/** Reads once what CleverTap left in the visitor's storage. */
export function adoptStorage(): void {
  storage.adoptStorage(local);
  local.set("adopted", "1");
}
