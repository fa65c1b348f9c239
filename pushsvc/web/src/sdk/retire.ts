// What the option `retire` serves in the place of the SDK: ends what the SDK
// began, and leaves pages that call it with an object that says no.

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
  // Brings the worker that takes itself away, or the site's own without ours.
  // The browser may have looked by itself, and the worker be gone already.
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
