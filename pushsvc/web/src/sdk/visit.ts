import { encodeBase64url } from "../shared/base64url";
import { local } from "./storage";

/** 16 random bytes in base64url. */
export const randomId = (): string => encodeBase64url(crypto.getRandomValues(new Uint8Array(16)));

/** Twenty minutes without a page end a visit. */
const pause = 1_200_000;

/** Counts a page in the visit, or begins a visit, for all tabs. The distance is absolute,
 * because clocks are adjusted. */
export function countVisit(now: number): void {
  if (Math.abs(now - Number(local.get("seen"))) > pause) {
    local.remove("shown");
    local.set("session", randomId());
    local.set("before", local.get("seen"));
    local.set("visit", [now, location.href, document.referrer].join(" "));
    local.set("visits", String(Number(local.get("visits")) + 1));
  }
  local.set("seen", String(now));
}

/** Reports whether the browser asks not to be followed: Global Privacy Control, Do Not
 * Track. */
export function isPrivate(): boolean {
  const { globalPrivacyControl, doNotTrack } = navigator as Navigator & { globalPrivacyControl?: boolean };
  return !!globalPrivacyControl || doNotTrack === "1";
}
