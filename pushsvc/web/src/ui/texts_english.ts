// The built-in texts: their order, and the English ones.

/** {n} is the site's name, {s} its host, {p} a path through menus, {a} the text add. */
const order = [
  // The prompt.
  "title", "body", "accept", "reject", "close", "notifications",
  // Help to unblock.
  "blocked", "blockedBody", "icon", "permissions", "allow", "unblock", "open", "settings", "websites", "allowFor", "reload",
  // Add to Home Screen.
  "add", "addBody", "share", "choose", "start",
  // Preferences.
  "receive",
] as const;

export type Texts = Record<(typeof order)[number], string>;

const english =
  "Stay up to date|Get a notification when there is news from {n}. You can stop at any time.|Notify me|Not now|Close|Notifications|Notifications are blocked|Your browser blocks notifications from this site. This is how to allow them:|Select the icon next to the address.|Choose “Permissions”.|Set “Notifications” to “Allow”.|Remove the block on notifications with ✕.|Open {p}.|Settings|Websites|Choose “Allow” for {s}.|Reload this page.|Add to Home Screen|To get notifications from {n}, add this site to your Home Screen.|Tap “Share”.|Choose “{a}”.|Open {n} from the Home Screen.|Get notifications from {n}";

/** The languages of texts.ts. */
export const others = ["de", "fr", "es", "pt", "it", "nl", "sv", "pl", "cs", "ru", "uk", "tr", "ar", "he", "hi", "id", "ja", "ko", "zh", "zh-Hant"];

/** Reads a line of texts.ts; without one, the English texts. */
export function readTexts(line = english): Texts {
  const texts = line.split("|");
  return Object.fromEntries(order.map((key, index) => [key, texts[index]])) as Texts;
}
