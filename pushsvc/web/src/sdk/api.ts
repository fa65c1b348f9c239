import type { FaceTexts } from "../shared/face";
import type { Identity } from "../shared/entries";
import type { CallbackMessage } from "../shared/popup";

/** The events of `webpush.on`. */
export type EventName =
  | "shown"
  | "accepted"
  | "rejected"
  | "dismissed"
  | "denied"
  | "subscribed"
  | "unsubscribed"
  | "popup"
  | "topics"
  | "error";

/** How a prompt ended. suppressed: the visitor was asked lately or has unsubscribed
 * (`force` overrides both), or is a crawler. failed: permission is granted, but the push
 * service or the server refused, see the `error` event. */
export type Outcome =
  | "subscribed"
  | "rejected"
  | "dismissed"
  | "denied"
  | "suppressed"
  | "unsupported"
  | "failed";

/** The state of this visitor. */
export interface State {
  supported: boolean;
  permission: NotificationPermission;
  subscribed: boolean;
  /** The visitor unsubscribed here: never asked again without a call by the page. */
  optedOut: boolean;
}

/** Options of `webpush.prompt`. Texts and colours win over the site's. */
export interface PromptOptions extends FaceTexts {
  /** Asks even if the visitor was asked lately or has unsubscribed. */
  force?: boolean;
  /** If notifications are blocked: shows how to unblock them. */
  help?: boolean;
  kind?: "dialog" | "bar" | "bell";
  color?: string;
  textColor?: string;
  /** Accessible names of the buttons if they differ from their labels. */
  ariaAccept?: string;
  ariaReject?: string;
  /** As the site's `askAgain`, for this call. */
  askAgain?: number | number[];
}

/** Who the visitor is, by one or more names, and values of the profile. */
export type Login = { [Kind in Identity["kind"]]?: string | number } & {
  /** Required if the site has `identity_secret`: HMAC-SHA256 of kind + ":" + value of the
   * first name, in hexadecimal. */
  signature?: string;
  set?: Record<string, unknown>;
};

export interface Privacy {
  /** true: nothing is recorded from now on, and what waits is dropped. */
  optOut?: boolean;
}

/** A pop-up that the page renders itself; without, the last one that the callback received. */
export interface NotificationDetails {
  msgId?: string;
  pivotId?: string;
  kv?: Record<string, unknown>;
  msgCTkv?: Record<string, unknown>[];
}

/** Detail of the event `popup`. */
export interface PopupDetail {
  act: "shown" | "viewed" | "clicked" | "closed" | "submitted" | "error";
  id: string;
  variant?: string;
  element?: string;
  value?: string;
}

/** `window.webpush`. */
export interface WebPush {
  readonly version: string;
  state(): Promise<State>;
  /** Shows the soft prompt, unless the visitor's answer is known. */
  prompt(options?: PromptOptions): Promise<Outcome>;
  /** Opens the browser's own question. Call it in a click handler. */
  subscribe(): Promise<Outcome>;
  /** Ends the subscription. The visitor is not asked again without a call by the page. */
  unsubscribe(): Promise<void>;
  /** Adds a listener; returns a function that removes it. */
  on(event: EventName, listener: (detail?: unknown) => void): () => void;
  /** Records an event. Prompt and pop-ups may wait for it. */
  event(name: string, props?: Record<string, unknown>): void;
  /** Sets values of the visitor's profile; null removes one. */
  profile(values: Record<string, unknown>): void;
  /** Records who the visitor is. What was recorded before belongs to that person. */
  login(who: Login): void;
  privacy(wish: Privacy): void;
  /** Receives pop-ups that the page renders itself, in place of ours. */
  notificationCallback?: (message: CallbackMessage) => void;
  /** Call it when the page shows what notificationCallback received. */
  raiseNotificationViewed(details?: NotificationDetails): void;
  /** Call it when that was clicked: it counts the click and does what the pop-up's click
   * does. */
  raiseNotificationClicked(details?: NotificationDetails): void;
  /** Ids of the topics that this visitor has chosen; before a choice, the defaults. */
  topics(): Promise<string[]>;
  /** Chooses exactly these topics. Resolves when the server has a subscriber's choice. */
  setTopics(ids: string[]): Promise<void>;
  /** Logs the visitor out. This browser continues as a new, unknown subscriber. */
  logout(): Promise<void>;
  /** Logs every step to the console, for this tab session. */
  debug(on: boolean): void;
}
