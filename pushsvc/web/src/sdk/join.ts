// join.js: what makes and ends a subscription, for those who have one or are about
// to. Most pages are of neither.

import type { Config } from "../shared/wire";
import { serverFailure } from "./failure";
import { disconnect as end } from "./subscription";

export { alone } from "./alone";
export { connect, revoke } from "./subscription";
export { tryWorker } from "./worker";

/** Ends the subscription; failed gets a Failure where the site could not be told. */
export const disconnect = (config: Config, failed: (error: Error) => void): Promise<void> =>
  end(config, (error) => failed(serverFailure(error)));
