// What the option `retire` serves in place of the SDK: it ends the subscription, forgets
// the visitor, and leaves an API that answers "unsupported".

import type { Config } from "../shared/wire";
import type { WebPush } from "./api";
import { forgetAll } from "./forget";
import { idle } from "./page";
import { currentSubscription, disconnect, ours } from "./subscription";
import { findWorker } from "./worker";

async function undo(config: Config): Promise<void> {
  await idle();
  if (!("serviceWorker" in navigator) || window.top !== window) return;
  const subscription = await currentSubscription(config);
  if (subscription && ours(subscription, config)) {
    await disconnect(config, (error) => console.warn("webpush:", error));
  }
  forgetAll();
  // Fetches the worker that removes itself, or the site's own worker without ours. The
  // browser may have done so already, and the worker may be gone.
  await (await findWorker(config))?.update().catch(() => undefined);
}

function main(config: Config): void {
  if (!Object.prototype.hasOwnProperty.call(window, "webpush")) {
    const api: WebPush = {
      version: config.version,
      state: async () => ({ supported: false, permission: "denied", subscribed: false, optedOut: false }),
      prompt: async () => "unsupported",
      subscribe: async () => "unsupported",
      unsubscribe: async () => {},
      on: () => () => {},
      event: () => {},
      profile: () => {},
      login: () => {},
      privacy: () => {},
      raiseNotificationViewed: () => {},
      raiseNotificationClicked: () => {},
      topics: async () => [],
      setTopics: async () => {},
      logout: async () => {},
      debug: () => {},
    };
    Object.defineProperty(window, "webpush", { value: Object.freeze(api), configurable: true, writable: true, enumerable: true });
  }
  undo(config).catch((error) => console.warn("webpush:", error));
}

main(__WEBPUSH_CONFIG__);
