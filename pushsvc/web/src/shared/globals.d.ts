import type { Config } from "./wire";

declare global {
  /** Replaced by a JSON object literal when the file is served. */
  const __WEBPUSH_CONFIG__: Config;
}
