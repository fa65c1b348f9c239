import type { FaceTexts } from "../shared/face";
import type { Identity } from "../shared/entries";
import type { CallbackMessage } from "../shared/popup";

/** What `webpush.on` can listen to. */
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

/** How a prompt ended. suppressed: asked lately, or unsubscribed by own wish
 * (`force` overrides), or a crawler; failed: permission granted, but the push
 * service or the server refused, see the `error` event. */
export type Outcome =
  | "subscribed"
  | "rejected"
  | "dismissed"
  | "denied"
  | "suppressed"
  | "unsupported"
  | "failed";

/** Where this visitor stands. */
export interface State {
  supported: boolean;
  permission: NotificationPermission;
  subscribed: boolean;
  /** Unsubscribed here by own wish: never asked again by itself. */
  optedOut: boolean;
}

/** Options of `webpush.prompt`. Texts and colours win over the site's. */
export interface PromptOptions extends FaceTexts {
  /** Asks although asked lately, or unsubscribed by own wish. */
  force?: boolean;
  /** Where notifications are blocked: shows how to unblock them. */
  help?: boolean;
  kind?: "dialog" | "bar" | "bell";
  color?: string;
  textColor?: string;
  /** Accessible names of the buttons where they differ from their labels. */
  ariaAccept?: string;
  ariaReject?: string;
  /** As the site's `askAgain`, for this call. */
  askAgain?: number | number[];
}

/** Who the visitor is, by one or more names, and what else is known. */
export type Login = { [Kind in Identity["kind"]]?: string | number } & {
  /** Where the site has `identity_secret`: HMAC-SHA256 of kind + ":" + value of
   * the first name, in hexadecimal. */
  signature?: string;
  set?: Record<string, unknown>;
};

export interface Privacy {
  /** true: nothing is recorded from now on, and what waits is forgotten. */
  optOut?: boolean;
}

/** Which pop-up a page speaks of that renders them itself; without, the one that
 * the callback got last. */
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
  /** Shows the soft prompt, unless the answer is known already. */
  prompt(options?: PromptOptions): Promise<Outcome>;
  /** Straight to the browser's own question: call it in a click handler. */
  subscribe(): Promise<Outcome>;
  /** Ends the subscription; not asked again by itself from then on. */
  unsubscribe(): Promise<void>;
  /** Listens; returns a function that stops listening. */
  on(event: EventName, listener: (detail?: unknown) => void): () => void;
  /** Something happened: it is recorded, and prompt and pop-ups may wait for it. */
  event(name: string, props?: Record<string, unknown>): void;
  /** Sets values of the visitor's profile; null takes one away. */
  profile(values: Record<string, unknown>): void;
  /** Says who the visitor is: what was recorded before belongs to that person. */
  login(who: Login): void;
  privacy(wish: Privacy): void;
  /** Gets pop-ups to render in the site's own way, in place of ours. */
  notificationCallback?: (message: CallbackMessage) => void;
  /** The page shows what notificationCallback got. */
  raiseNotificationViewed(details?: NotificationDetails): void;
  /** It was clicked: counts, then does what the pop-up's click does. */
  raiseNotificationClicked(details?: NotificationDetails): void;
  /** Ids of the topics that this visitor has chosen, or would by default. */
  topics(): Promise<string[]>;
  /** Chooses exactly these; resolves when a subscriber's choice is stored. */
  setTopics(ids: string[]): Promise<void>;
  /** Somebody has logged out: this browser goes on as a new, unknown subscriber. */
  logout(): Promise<void>;
  /** Tells every step on the console, for this tab session. */
  debug(on: boolean): void;
}
