// join.js: begins and ends a subscription. Most pages do neither.

import type { Config } from "../shared/wire";
import { serverFailure } from "./failure";
import { disconnect as end } from "./subscription";

export { withTabLock } from "./tab_lock";
export { connect, revoke } from "./subscription";
export { tryWorker } from "./worker";

/** Ends the subscription. failed receives a Failure if the site did not take it. */
export const disconnect = (config: Config, failed: (error: Error) => void): Promise<void> =>
  end(config, (error) => failed(serverFailure(error)));
