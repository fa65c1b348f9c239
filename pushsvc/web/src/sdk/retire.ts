// What the option `retire` serves in the place of the SDK: ends what the SDK
// began, and leaves pages that call it with an object that says no.

import type { Config } from "../shared/wire";
import type { WebPush } from "./api";
import { waiting } from "./queue";
import { idle } from "./page";
import { local, session } from "./storage";
import { currentSubscription, disconnect, ours } from "./subscription";
import { findWorker } from "./worker";

/** What events, visits and pop-ups have left. */
const tracked =
  "topics optout cid session seen before visit visits told ctsent shown dnd inbox pages ev pr who login stranger geo owner".split(" ");

async function undo(config: Config): Promise<void> {
  await idle();
  if (!("serviceWorker" in navigator) || window.top !== window) return;
  const subscription = await currentSubscription(config);
  if (subscription && ours(subscription, config)) {
    await disconnect(config, (error) => console.warn("webpush:", error));
  }
  for (const name of ["asked", "refusals", "out", "views", "sub", "adopted", "ct", "charged", ...tracked]) local.remove(name);
  for (const name of waiting()) localStorage.removeItem(name);
  for (const name of ["since", "synced", "worker", "debug", "pages", "trouble"]) session.remove(name);
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
