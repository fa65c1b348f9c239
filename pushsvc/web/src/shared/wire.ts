// The wire contract between the browser side and the server (pushsvc/httpapi,
// caddymodule). Member names are JSON names; times are milliseconds since the
// epoch; binary values are base64url without padding.

/** When the soft prompt shows by itself. `{}` is the first idle moment. */
export interface After {
  /** Page views on this origin, this one included. */
  pages?: number;
  /** Seconds since the first page view of this tab session. */
  seconds?: number;
  /** Never by itself: only `webpush.prompt()`. */
  manual?: boolean;
}

/** Texts may be empty: then the built-in English ones are used. */
export interface PromptConfig {
  title?: string;
  body?: string;
  accept?: string;
  reject?: string;
  /** Any CSS colour: fill of the accept button and of the bell. */
  color?: string;
  /** Any CSS colour: text on `color`. */
  textColor?: string;
  after?: After;
  /** Seconds of silence after a refusal or dismissal. */
  askAgain?: number;
}

/** What the server puts in place of `__WEBPUSH_CONFIG__`. */
export interface Config {
  version: string;
  site: string;
  name?: string;
  icon?: string;
  /** applicationServerKey: uncompressed P-256 point, 87 characters. */
  key: string;
  /** The server's earlier keys: subscriptions made with them are ours too. */
  oldKeys?: string[];
  prefix: string;
  worker: string;
  scope: string;
  prompt?: PromptConfig;
  /** Only in the worker's config, and only where the worker's file is ours
   * alone. Absent when it was appended to the site's own worker. */
  standalone?: boolean;
}

/** Names one subscription and proves that the caller holds it. */
export interface SubscriptionProof {
  endpoint: string;
  keys: { auth: string };
}

/** Body of POST {prefix}/subscribe; the first three are PushSubscription.toJSON(). */
export interface SubscribeRequest {
  endpoint: string;
  expirationTime?: number | null;
  keys: { p256dh: string; auth: string };
  applicationServerKey?: string;
  language?: string;
  timeZone?: string;
  page?: string;
  replaces?: SubscriptionProof;
}

/** Body of POST {prefix}/unsubscribe. */
export type UnsubscribeRequest = SubscriptionProof;

/** One line of POST {prefix}/events. */
export interface NotificationEventReport {
  type: "shown" | "clicked" | "closed";
  message: string;
  token: string;
  /** Only with `clicked`, and only when a button was used. */
  action?: string;
  time: number;
}

/** Body of POST {prefix}/events. */
export interface EventsRequest {
  events: NotificationEventReport[];
}

/** A button of a notification. */
export interface PayloadAction {
  action: string;
  title: string;
  navigate?: string;
  icon?: string;
}

/** The notification inside a push message. */
export interface PayloadNotification {
  title: string;
  navigate?: string;
  body?: string;
  icon?: string;
  image?: string;
  badge?: string;
  tag?: string;
  dir?: "auto" | "ltr" | "rtl";
  lang?: string;
  vibrate?: number[];
  timestamp?: number;
  renotify?: boolean;
  silent?: boolean;
  requireInteraction?: boolean;
  data?: unknown;
  actions?: PayloadAction[];
}

/** A decrypted push message. */
export interface Payload {
  id: string;
  token?: string;
  notification: PayloadNotification;
  app_badge?: number;
}

/** `Notification.data` of every notification that our worker shows. */
export interface NotificationData {
  /** Tells our notifications from the site's own in a shared worker. */
  webpush: true;
  /** Absolute http(s) URL, or empty: bring the site to the front. */
  url: string;
  /** Action id to absolute http(s) URL. */
  actions: Record<string, string>;
  message: string;
  token: string;
  /** The sender's own data, untouched. */
  data: unknown;
}
