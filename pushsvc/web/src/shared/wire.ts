// What the server and the browser side tell each other (Go: pushsvc/httpapi). The types of
// server.ts are made from the server's own; here are their names in the scripts, and what
// the scripts add. Times are milliseconds since the epoch; binary values are base64url
// without padding.

import type { Payload as OwnPayload, PromptConfig as SentPromptConfig, RecordRequest, Report, SiteConfig } from "./server";

export type {
  FailureReport,
  PayloadAction,
  PayloadNotification,
  PromptAfter as After,
  ProofJSON as SubscriptionProof,
  ProofJSON as UnsubscribeRequest,
  Report as NotificationEventReport,
  SubscribeAnswer,
  SubscribeRequest,
  Topic,
} from "./server";

/** A policy of Trusted Types, as far as we use it. */
export interface Policy {
  createScriptURL(url: string): string;
}

/** The soft prompt. The server sends all of it; the page may set parts. For an empty text, the
 * built-in one of the page's language shows. */
export interface PromptConfig extends Partial<Omit<SentPromptConfig, "askAgain">> {
  /** Seconds without a prompt after a refusal or dismissal. In a list the first number counts
   * after the first one, and so on; the last for all that follow. */
  askAgain?: number | number[];
}

/** The server replaces `__WEBPUSH_CONFIG__` by a SiteConfig; pages add the rest. */
export interface Config extends Omit<SiteConfig, "prompt"> {
  prompt?: PromptConfig;
  /** The configured worker, if the page wants another one (compat/worker.ts). */
  fallback?: { worker: string; scope: string };
  /** Set when the page first needs a policy of Trusted Types. */
  policy?: Policy;
}

/** Body of POST {prefix}/events, as the worker sends it. */
export interface EventsRequest extends RecordRequest {
  events: Report[];
}

/** A decrypted push message of any sender. */
export type Payload = Omit<OwnPayload, "token"> & { token?: string; app_badge?: number };

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
