import { webURL as absolute } from "../shared/address";
import type {
  Config,
  NotificationData,
  Payload,
  PayloadAction,
  PayloadNotification,
} from "../shared/wire";

/** Members that lib.webworker lacks because not every engine has them. */
export interface ShowOptions extends NotificationOptions {
  actions?: { action: string; title: string; icon?: string }[];
  image?: string;
  renotify?: boolean;
  timestamp?: number;
  vibrate?: number[];
}

/** Everything the worker does with one push. */
export interface Plan {
  title: string;
  options: ShowOptions & { data: NotificationData };
  badge?: number;
}

/** The part of PushMessageData that is needed. */
interface Message {
  json(): unknown;
}

type Loose<T> = { [K in keyof T]?: unknown };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** The absolute URL, "" unless it is http(s). No other scheme (javascript:, data:, blob:)
 * may reach openWindow or an icon. */
export const webURL = (value: unknown, base: string): string => absolute(text(value), base) || "";

/** Reads a push message of any sender. Ours have an id. For others it looks for the text
 * in the usual places: the provider that the site comes from may still send to this
 * browser. */
export function parsePayload(message: Message | null): Payload {
  let value: unknown;
  try {
    value = message?.json();
  } catch {
    // Not JSON, so not ours.
  }
  const all = isObject(value) ? value : {};
  const { notification } = all;
  // CleverTap has notificationOptions and deepLink, OneSignal has alert.
  const source = isObject(notification)
    ? notification
    : { body: all.alert, navigate: all.deepLink, ...all, ...(all.notificationOptions as object) };
  return { ...all, id: notification === source ? text(all.id) : "", notification: source as unknown as PayloadNotification };
}

/** Returns what to show; undefined leaves a foreign message to the site's own push
 * listener. A worker of our own always shows something: browsers punish silence (Safari
 * ends the subscription after about three silent pushes). */
export function planPush(message: Message | null, config: Config, base: string): Plan | undefined {
  const payload = parsePayload(message);
  return payload.id || config.standalone ? buildPlan(payload, config, base) : undefined;
}

function buildPlan(payload: Payload, config: Config, base: string): Plan {
  const source = payload.notification as Loose<PayloadNotification>;
  const { actions, urls } = readActions(source.actions, base);
  const data: NotificationData = {
    webpush: true,
    url: webURL(source.navigate, base),
    actions: urls,
    message: payload.id,
    token: text(payload.token),
    data: source.data ?? null,
  };
  const plan: Plan = {
    title: text(source.title) || config.name || config.site,
    options: { ...buildOptions(source, config, base), data },
  };
  // Its id is the tag of a message without one, so that a push delivered twice replaces
  // itself.
  if (!plan.options.tag && payload.id) plan.options.tag = "webpush:" + payload.id;
  if (actions.length) plan.options.actions = actions;
  const badge = payload.app_badge as unknown;
  if (typeof badge === "number" && badge >= 0 && Number.isSafeInteger(badge)) plan.badge = badge;
  return plan;
}

/** Takes only members of the right type: one wrong member makes showNotification throw, and
 * then nothing shows. */
function buildOptions(source: Loose<PayloadNotification>, config: Config, base: string): ShowOptions {
  const options: ShowOptions = {};
  for (const name of ["body", "lang", "tag"] as const) {
    if (text(source[name])) options[name] = text(source[name]);
  }
  for (const name of ["icon", "image", "badge"] as const) {
    const url = webURL(source[name], base) || (name === "icon" && webURL(config.icon, base));
    if (url) options[name] = url;
  }
  const dir = text(source.dir);
  if (/^(ltr|rtl|auto)$/.test(dir)) options.dir = dir as NotificationDirection;
  const timestamp = source.timestamp;
  if (typeof timestamp === "number" && timestamp > 0) options.timestamp = timestamp;
  if (source.requireInteraction === true) options.requireInteraction = true;
  // Notifications API: renotify without tag and silent with vibrate throw TypeError.
  if (source.renotify === true && options.tag) options.renotify = true;
  const vibrate = source.vibrate;
  if (source.silent === true) options.silent = true;
  else if (Array.isArray(vibrate) && vibrate.length && vibrate.every(isDuration)) {
    options.vibrate = vibrate as number[];
  }
  return options;
}

const isDuration = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;

function readActions(source: unknown, base: string) {
  const actions: NonNullable<ShowOptions["actions"]> = [];
  const urls: [string, string][] = [];
  for (const item of Array.isArray(source) ? source : []) {
    if (!isObject(item)) continue;
    const entry = item as Loose<PayloadAction>;
    const action = text(entry.action);
    const title = text(entry.title);
    if (!action || !title) continue;
    const icon = webURL(entry.icon, base);
    actions.push(icon ? { action, title, icon } : { action, title });
    const url = webURL(entry.navigate, base);
    if (url) urls.push([action, url]);
  }
  // "__proto__" as an action id becomes an ordinary member.
  return { actions, urls: Object.fromEntries(urls) };
}

/** Our data of a notification; undefined if the site made the notification. */
export function ownData(data: unknown): NotificationData | undefined {
  return isObject(data) && data.webpush === true ? (data as unknown as NotificationData) : undefined;
}

/** Where a click leads: the button's URL, else the notification's, else "". */
export function clickURL(data: NotificationData, action: string, base: string): string {
  const hasURL = Object.prototype.hasOwnProperty.call(data.actions, action);
  return webURL((hasURL && data.actions[action]) || data.url, base);
}
