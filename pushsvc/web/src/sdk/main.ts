import type { WebPush } from "./api";
import { SDK } from "./sdk";

const loaded = Symbol.for("webpush.sdk");

function main(): void {
  // Loaded twice, say by a proxy in front of a proxy: the first one serves.
  if (loaded in window) return;
  const sdk = new SDK(__WEBPUSH_CONFIG__);
  Object.defineProperty(window, loaded, { value: true });
  // A global that the site itself made under that name stays the site's. An
  // element with that id is no obstacle: it is not an own property.
  if (!Object.prototype.hasOwnProperty.call(window, "webpush")) {
    const api: WebPush = {
      version: sdk.version,
      state: () => sdk.state(),
      prompt: (options) => sdk.prompt(options),
      subscribe: () => sdk.subscribe(),
      unsubscribe: () => sdk.unsubscribe(),
      on: (event, listener) => sdk.on(event, listener),
    };
    Object.defineProperty(window, "webpush", { value: Object.freeze(api), configurable: true, writable: true, enumerable: true });
  }
  void sdk.start();
}

main();
