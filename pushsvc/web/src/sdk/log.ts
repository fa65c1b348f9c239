import { session } from "./storage";

/** Reports whether the console shows every step: after webpush.debug(true), or what
 * CleverTap's guide tells its users to type. For this tab session. */
function verbose(): boolean {
  try {
    return !!session.get("debug") || sessionStorage.getItem("WZRK_D") !== null;
  } catch {
    return false;
  }
}

/** Logs a step if the console shows steps. Never pass endpoints or keys. */
export function trace(...words: unknown[]): void {
  if (verbose()) console.log("webpush:", ...words);
}
