// How to unblock a site. No browser asks twice, and each has the switch in another place.

import type { Texts } from "./texts_english";

/** What decides where the switch is. */
export type Place = "chromium" | "chromium-android" | "firefox" | "firefox-android" | "samsung" | "safari" | "ios";

/** Reads it from the user agent. iPadOS calls itself a Mac, but Macs have no touch screen. */
export function placeOf(userAgent: string, touchPoints: number): Place {
  if (/iPhone|iPad|iPod/.test(userAgent) || (/Macintosh/.test(userAgent) && touchPoints > 1)) return "ios";
  if (/SamsungBrowser/.test(userAgent)) return "samsung";
  const android = /Android/.test(userAgent);
  if (/Firefox\//.test(userAgent)) return android ? "firefox-android" : "firefox";
  if (/Chrome\//.test(userAgent)) return android ? "chromium-android" : "chromium";
  return /Safari\//.test(userAgent) ? "safari" : "chromium";
}

/** The steps in order. Menu paths run from the outer to the inner menu. */
export function unblockSteps(place: Place, texts: Texts, name: string): string[] {
  const path = (...names: string[]) => texts.open.replace("{p}", () => names.join(" › "));
  const { icon, permissions, allow, unblock, allowFor, reload, settings, websites, notifications } = texts;
  switch (place) {
    case "ios":
      return [path(settings, notifications, name), allow];
    case "safari":
      return [path("Safari", settings, websites, notifications), allowFor, reload];
    case "samsung":
      return [path("☰", settings, websites + "…", notifications), allowFor, reload];
    case "firefox":
      return [icon, unblock, reload];
    case "chromium-android":
      return [icon, permissions, allow, reload];
    default:
      return [icon, allow, reload];
  }
}
