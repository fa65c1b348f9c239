import { session } from "./storage";

/** Whether the console tells every step: webpush.debug(true), or what CleverTap's
 * guide tells its users to type. For this tab session. */
function verbose(): boolean {
  try {
    return !!session.get("debug") || sessionStorage.getItem("WZRK_D") !== null;
  } catch {
    return false;
  }
}

/** Says something where somebody wants to hear it. Never endpoints, never keys. */
export function trace(...words: unknown[]): void {
  if (verbose()) console.log("webpush:", ...words);
}
