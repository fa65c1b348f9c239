import type { Config } from "../shared/wire";

/** Loads one of the modules beside the SDK. import() takes the script's nonce
 * along, is trusted under strict-dynamic, and is no Trusted Types sink. */
export function load<T>(config: Config, name: "ui" | "compat" | "track" | "onsite" | "popup" | "wait" | "join"): Promise<T> {
  return import(`${config.prefix}/${name}.js?v=${config.version}`) as Promise<T>;
}
