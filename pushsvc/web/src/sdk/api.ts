import type { FaceTexts } from "../shared/face";

/** What `webpush.on` can listen to. */
export type EventName =
  | "shown"
  | "accepted"
  | "rejected"
  | "dismissed"
  | "denied"
  | "subscribed"
  | "unsubscribed"
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
  /** Something happened that the prompt may wait for (`after event <name>`). */
  event(name: string): void;
  /** Ids of the topics that this visitor has chosen, or would by default. */
  topics(): Promise<string[]>;
  /** Chooses exactly these; resolves when a subscriber's choice is stored. */
  setTopics(ids: string[]): Promise<void>;
  /** Somebody has logged out: this browser goes on as a new, unknown subscriber. */
  logout(): Promise<void>;
  /** Tells every step on the console, for this tab session. */
  debug(on: boolean): void;
}
