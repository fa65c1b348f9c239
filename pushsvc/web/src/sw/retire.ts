// The worker that the option `retire` serves in place of ours: browsers get it by their own
// update check, and it removes itself.

import { post } from "../shared/post";
import type { Config, SubscribeRequest, UnsubscribeRequest } from "../shared/wire";
import { leave } from "./leave";

declare const self: ServiceWorkerGlobalScope;

function start(config: Config): void {
  const unsubscribeAtServer = async (subscription: PushSubscription): Promise<void> => {
    const { endpoint, keys } = subscription.toJSON() as SubscribeRequest;
    const proof: UnsubscribeRequest = { endpoint, keys: { auth: keys.auth } };
    // Best effort: from now on the push service reports that it is gone.
    await post(config.prefix + "/unsubscribe", proof, 3).catch(() => {});
  };
  self.addEventListener("install", () => void self.skipWaiting());
  // The other events are for a browser that stopped during activation.
  for (const type of ["activate", "push", "notificationclick", "pushsubscriptionchange"]) {
    self.addEventListener(type, (event) => (event as ExtendableEvent).waitUntil(leave(config, unsubscribeAtServer)));
  }
}

start(__WEBPUSH_CONFIG__);
