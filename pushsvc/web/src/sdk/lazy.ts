import { ownURL } from "../shared/address";
import type { Config } from "../shared/wire";

/** Loads one of the modules beside the SDK. import() passes the script's nonce on, is
 * trusted under strict-dynamic, and is not a Trusted Types sink. A module that does not
 * load is tried once more after two seconds: browsers also cancel requests when the
 * visitor leaves, and a page that is gone does not try again, so it logs no error. The
 * second address differs, because engines remember a failed module. */
export function load<T>(config: Config, name: "ui" | "compat" | "onesignal" | "track" | "onsite" | "popup" | "wait" | "join" | "trouble"): Promise<T> {
  const path = `${config.prefix}/${name}.js?v=${config.version}`;
  return import(ownURL(path)).catch(async () => {
    await new Promise((resolve) => setTimeout(resolve, 2000));
    return import(ownURL(path + "#again")).catch((error) => {
      throw Object.assign(error, { code: "script_failed" });
    });
  });
}
