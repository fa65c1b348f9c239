// The wire contract between the browser side and the server (pushsvc/httpapi,
// caddymodule). Member names are JSON names; times are milliseconds since the
// epoch; binary values are base64url without padding.

import type { PopupsConfig } from "./onsite";

/** When the soft prompt shows without a call by the page: pages and seconds must both hold,
 * then one of the triggers must happen, if there are any. `{}` is the first idle moment; a
 * missing `after` is the second page view. */
export interface After {
  /** Page views on this origin, this one included. */
  pages?: number;
  /** Seconds since the first page view of this tab session. */
  seconds?: number;
  /** Trigger: per cent of the page's scrollable height. */
  scroll?: number;
  /** Trigger: a click inside an element that this CSS selector finds. */
  click?: string;
  /** Trigger: `webpush.event(name)`. */
  event?: string;
  /** Trigger: the visitor seems to be leaving. */
  exit?: boolean;
  /** Only `webpush.prompt()` shows it. */
  manual?: boolean;
}

/** A topic that the visitor can choose. */
export interface Topic {
  id: string;
  label: string;
  checked?: boolean;
}

/** For an empty text, the built-in one of the page's language shows. */
export interface PromptConfig {
  kind?: "dialog" | "bar" | "bell";
  title?: string;
  body?: string;
  accept?: string;
  reject?: string;
  /** Any CSS colour: fill of the accept button and of the bell. */
  color?: string;
  /** Any CSS colour: text on `color`. */
  textColor?: string;
  /** The topics that the visitor can choose. */
  topics?: Topic[];
  after?: After;
  /** Paths where it may show without a call by the page: `*` stands for anything, a pattern
   * covers the whole path. in empty or missing: everywhere. out wins. */
  paths?: { in?: string[]; out?: string[] };
  /** Seconds without a prompt after a refusal or dismissal. In a list the first number
   * counts after the first one, and so on; the last for all that follow. */
  askAgain?: number | number[];
  /** CSS selector of the site's consent banner: while it is visible, the prompt waits.
   * Common banners need no selector. */
  consent?: string;
}

/** A policy of Trusted Types, as far as we use it. */
export interface Policy {
  createScriptURL(url: string): string;
}

/** The server replaces `__WEBPUSH_CONFIG__` by this. */
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
  /** Set by the page: the configured worker, if the page wants another one
   * (compat/worker.ts). */
  fallback?: { worker: string; scope: string };
  /** The path of our manifest link. */
  manifest?: string;
  scope: string;
  prompt?: PromptConfig;
  /** The site's running pop-ups; missing if there are none. */
  popups?: PopupsConfig;
  /** The proxy counts pages of visitors who have the cookie. Each visit is sent, so that
   * its second page counts. */
  watched?: boolean;
  /** Puts `window.clevertap` or `window.OneSignal` on the page. */
  compat?: "clevertap" | "onesignal";
  /** Matches the addresses of that provider's page script, which pages must not load. */
  vendorScripts?: string;
  /** Set by the page, when it first needs a policy of Trusted Types. */
  policy?: Policy;
  /** Providers that the site moves away from: their subscriptions become ours without a
   * question. */
  migrate?: string[];
  /** The paths of their workers, as browsers may have registered them. A leading asterisk
   * stands for any folder. */
  vendorWorkers?: string[];
  /** Leaves the other provider's worker and subscription in place. Our registration has a
   * scope below `prefix`. */
  dualRun?: boolean;
  /** Only in the worker's config, and only if the worker's file is ours alone. Missing if
   * it was appended to the site's own worker. */
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
  /** Ids that the visitor has chosen; missing: the server keeps what it has. */
  topics?: string[];
  /** Ids for a subscription that never had a choice. */
  defaultTopics?: string[];
  replaces?: SubscriptionProof;
}

/** The answer to POST {prefix}/subscribe. */
export interface SubscribeAnswer {
  /** The stored choice; missing if there never was one. */
  topics?: string[];
}

/** Body of POST {prefix}/unsubscribe. */
export type UnsubscribeRequest = SubscriptionProof;

/** One line of POST {prefix}/events. */
export interface NotificationEventReport {
  type: "shown" | "clicked" | "closed";
  message: string;
  token: string;
  /** Only with `clicked`, and only for a click on a button. */
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
  /** Distinguishes our notifications from the site's own in a shared worker. */
  webpush: true;
  /** Absolute http(s) URL, or empty: bring the site to the front. */
  url: string;
  /** Action id to absolute http(s) URL. */
  actions: Record<string, string>;
  message: string;
  token: string;
  /** The sender's own data, unchanged. */
  data: unknown;
}
