import { ownURL } from "../shared/address";
import type { Config } from "../shared/wire";

/** Loads one of the modules beside the SDK. import() takes the script's nonce
 * along, is trusted under strict-dynamic, and is no Trusted Types sink. What does
 * not come is tried once more, a moment later: browsers also break off fetching
 * when the visitor leaves, and on a page that is gone there is no later, so that
 * nobody is told of a fault that is none. By a name of its own, because engines
 * remember a module that failed. */
export function load<T>(config: Config, name: "ui" | "compat" | "onesignal" | "track" | "onsite" | "popup" | "wait" | "join" | "trouble"): Promise<T> {
  const path = `${config.prefix}/${name}.js?v=${config.version}`;
  return import(ownURL(path)).catch(async () => {
    await new Promise((resolve) => setTimeout(resolve, 2000));
    return import(ownURL(path + "#again")).catch((error) => {
      throw Object.assign(error, { code: "script_failed" });
    });
  });
}
