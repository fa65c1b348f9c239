import type { WebPush } from "./api";
import { adopt } from "./adopt";
import { mendManifest } from "./manifest";
import { installOneSignal } from "./onesignal";
import { SDK } from "./sdk";
import { stubClevertap } from "./stub";

const loaded = Symbol.for("webpush.sdk");

/** The methods of the page API that the SDK has under the same names. */
const methods = ["state", "prompt", "subscribe", "unsubscribe", "on", "event", "profile", "login", "privacy", "topics", "setTopics", "logout", "debug"] as const;

function main(): void {
  // Loaded twice, for instance by a proxy in front of a proxy: the first copy serves.
  if (loaded in window) return;
  const config = __WEBPUSH_CONFIG__;
  const script = document.currentScript;
  const mend = () => mendManifest(script, config.manifest);
  mend();
  // The page's own scripts have run by then. Browsers request the manifest later.
  addEventListener("load", mend);
  const sdk = new SDK(config);
  Object.defineProperty(window, loaded, { value: true });
  // A global of that name that the site defined stays the site's. An element with that id
  // does not count: it is not an own property.
  if (!Object.prototype.hasOwnProperty.call(window, "webpush")) {
    const api: WebPush = {
      ...(Object.fromEntries(methods.map((name) => [name, (sdk[name] as () => unknown).bind(sdk)])) as unknown as Pick<WebPush, (typeof methods)[number]>),
      version: config.version,
      raiseNotificationViewed: (details) => sdk.raise("viewed", details),
      raiseNotificationClicked: (details) => sdk.raise("clicked", details),
      get notificationCallback() {
        return sdk.notificationCallback;
      },
      set notificationCallback(callback) {
        sdk.notificationCallback = callback;
      },
    };
    Object.defineProperty(window, "webpush", { value: Object.freeze(api), configurable: true, writable: true, enumerable: true });
  }
  const compat = config.compat === "onesignal" ? installOneSignal(sdk, config) : config.compat && stubClevertap(sdk, config);
  compat?.catch((error) => console.warn("webpush:", error));
  void sdk.start(adopt(config, compat));
}

main();
