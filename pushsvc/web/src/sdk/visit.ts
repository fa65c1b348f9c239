import { local } from "./storage";

/** Twenty minutes without a page end a visit. */
const pause = 1_200_000;

/** Counts a page into the visit, or begins one, over all tabs. `visit` is when it
 * began, on which page, and where from; `told` what track.js has told of it. The
 * distance is absolute, since clocks are set. */
export function countVisit(now: number): void {
  if (Math.abs(now - Number(local.get("seen"))) > pause) {
    local.remove("shown");
    local.set("before", local.get("seen"));
    local.set("visit", [now, location.href, document.referrer].join(" "));
    local.set("visits", String(Number(local.get("visits")) + 1));
  }
  local.set("seen", String(now));
}

/** Whether the browser asks not to be followed: Global Privacy Control, Do Not
 * Track. */
export function isPrivate(): boolean {
  const { globalPrivacyControl, doNotTrack } = navigator as Navigator & { globalPrivacyControl?: boolean };
  return !!globalPrivacyControl || doNotTrack === "1";
}
