// track.js: sends what the SDK has kept. The SDK loads it when there is something to send.

import type { SDK } from "../sdk/sdk";
import { Sender } from "./sender";

export function start(sdk: SDK): Sender {
  return new Sender(sdk);
}
