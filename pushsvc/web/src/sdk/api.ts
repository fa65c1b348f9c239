/** What `webpush.on` can listen to. */
export type EventName =
  | "shown"
  | "accepted"
  | "rejected"
  | "dismissed"
  | "denied"
  | "subscribed"
  | "unsubscribed"
  | "error";

/** How a prompt ended. suppressed: asked lately, or unsubscribed by own wish
 * (`force` overrides); failed: permission granted, but the push service or the
 * server refused, see the `error` event. */
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

/** `window.webpush`. */
export interface WebPush {
  readonly version: string;
  state(): Promise<State>;
  /** Shows the soft prompt, unless the answer is known already. */
  prompt(options?: { force?: boolean }): Promise<Outcome>;
  /** Straight to the browser's own question: call it in a click handler. */
  subscribe(): Promise<Outcome>;
  /** Ends the subscription; not asked again by itself from then on. */
  unsubscribe(): Promise<void>;
  /** Listens; returns a function that stops listening. */
  on(event: EventName, listener: (detail?: unknown) => void): () => void;
}
