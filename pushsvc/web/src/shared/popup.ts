// The contract between the page runner (onsite.js), the renderer (popup.js) and the
// sandboxed frame of custom HTML (frame.js).

import type { PopupAction as Action, WirePopup as SentPopup } from "./server";

export type { PopupAction as Action, PopupButton, PopupContent, PopupInput, PopupTheme } from "./server";

/** One pop-up in the answer to POST {prefix}/messages, or kept by an earlier page. */
export interface WirePopup extends Omit<SentPopup, "legacy"> {
  legacy?: SentPopup["legacy"];
}

/** What happened.
 * - `element` of clicked: the id of the button, `body`, `image`, `copy`, or for html what
 *   names the element (`wzrk_c2a`, id, name or text).
 * - `element` of closed: `button` (the cross), `escape`, `overlay`, `action` (after a
 *   click that closes), `script` (code of the page or of the HTML).
 * - `props` of clicked: `wzrk_click_*` of custom HTML, 20 characters each. */
export interface PopupEvent {
  act: "viewed" | "clicked" | "closed" | "submitted" | "error";
  element?: string;
  value?: string;
  props?: Record<string, string>;
}

/** What pop-ups and the inbox need of their host. */
export interface PopupHost {
  site: { name?: string; icon?: string };
  /** BCP 47 tag of the page's language. */
  language: string;
  dir?: "ltr" | "rtl";
  /** Config.prefix and Config.version, for {prefix}/frame.html?v={version}. */
  prefix: string;
  version: string;
  /** `window.clevertap`, if it is ours: the inbox adds its functions to it. */
  api?: object;
  /** Runs synchronously in the click or key press, before run. about: the pop-up that it
   * concerns (messages of the inbox differ from the first one shown). "viewed" comes from
   * here for messages of the inbox only, when the open list first shows them; the runner
   * watches PopupFace.element for all others. */
  act(event: PopupEvent, about: WirePopup): void;
  /** Does what the click wants, synchronously in the click; for html in the frame's message
   * that follows the click, while the page is still activated. Never runs with do "close",
   * "none", "copy" or "submit", which popup.js does itself. URLs are http(s). */
  run(action: Action, kv: Record<string, string>, about: WirePopup): void;
  /** A call of custom HTML to `window.parent.clevertap` (html only), one of frameCalls.
   * args are JSON. If it is missing, `window.clevertap` is called. */
  call?(name: FrameCall, args: unknown[], about: WirePopup): void;
}

/** The functions of the page that HTML in the sandbox may call. */
export const frameCalls = [
  "event.push",
  "profile.push",
  "notifications.push",
  "raiseNotificationViewed",
  "raiseNotificationClicked",
  "raisePopupNotificationClicked",
  "renderNotificationViewed",
  "renderNotificationClicked",
] as const;
export type FrameCall = (typeof frameCalls)[number];

/** The argument of show(). kind "custom" is never shown. */
export interface PopupOptions extends PopupHost {
  popup: WirePopup;
  /** Runs once, when the pop-up is gone, whatever removed it; after act "closed" if the
   * visitor closed it. Never for the inbox. */
  closed(): void;
}

/** What show() returns. */
export interface PopupFace {
  /** The visible part, for an IntersectionObserver. */
  element: HTMLElement;
  /** Removes it without act "closed". */
  close(): void;
}

/** popup.js as a module. show returns undefined if the engine lacks constructed style
 * sheets, or if there is nothing to show. */
export interface Popups {
  show(options: PopupOptions): PopupFace | undefined;
  /** Shows the bell with the messages that earlier pages kept in localStorage
   * (`webpush:inbox`), if there are any; show() with kind inbox adds to them. Call it once
   * per page if that item exists. */
  inbox(host: PopupHost): PopupFace | undefined;
}

// Callbacks of CleverTap's API.

/** The argument of notificationCallback. */
export interface CallbackMessage {
  msgContent: { title?: string; description?: string; imageUrl?: string; ctaText?: string; html?: string; type?: number };
  msgId: string;
  pivotId?: string;
  kv?: Record<string, string>;
  deliveryTrigger?: { inactive?: number; scroll?: number; isExitIntent?: boolean; deliveryDelayed?: number };
}

/** The argument of popupCallback and of raisePopupNotificationClicked. */
export interface PopupCallbackMessage {
  msgId: string;
  pivotId?: string;
  kv?: Record<string, string>;
  msgCTkv?: Record<string, string>[];
}

// Between popup.js and the frame of custom HTML, by postMessage. The frame is
// {prefix}/frame.html?v={version}: a fixed document with frame.js, which reports that it is
// ready, receives the HTML with a port, and writes it. httpapi.ServeFrame answers it with a
// policy of its own that has `sandbox`: its origin is opaque even in a tab of its own, and
// the site's policy does not stop its inline scripts.

/** From the frame to the page, once. */
export interface FrameReady {
  webpush: "ready";
}

/** From popup.js to the frame, once, with a MessagePort. */
export interface FrameStart {
  webpush: "start";
  html: string;
  /** The page's address, for relative URLs and `parent.location`. */
  page: string;
  msgId: string;
  pivotId?: string;
  kv?: Record<string, string>;
  /** The frame has the page's origin and needs no stand-in for its parent. */
  trusted?: boolean;
}

/** From the frame to popup.js through the port. */
export type FrameMessage =
  | { say: "size"; height: number }
  | { say: "close"; reason: "script" | "escape" }
  | { say: "click"; element: string; url?: string; newTab?: boolean; props: Record<string, string> }
  | { say: "open"; url: string; newTab?: boolean }
  | { say: "call"; name: string; args: unknown[] };
