// The contract between the page runner (onsite.js), the renderer (popup.js) and the
// sandboxed frame of custom HTML (frame.js). Member names of WirePopup are JSON names of
// POST {prefix}/messages.

export type PopupKind = "box" | "banner" | "interstitial" | "corner" | "image" | "inbox" | "html" | "custom";

/** Where a pop-up is on the page. banner: top or bottom; corner: one of the four corners.
 * html takes all of them, and `full` for the whole view. Missing: the middle. */
export type PopupPosition =
  | "top"
  | "bottom"
  | "bottom-right"
  | "bottom-left"
  | "top-right"
  | "top-left"
  | "full";

/** What a click does. Names are those of the operator's JSON. */
export interface Action {
  do?: "none" | "open" | "close" | "call" | "subscribe" | "copy" | "submit";
  /** open: absolute http(s) URL or a path of the site. */
  url?: string;
  newTab?: boolean;
  /** call: `window[function](kv)`; a path of own properties with dots. */
  function?: string;
  /** copy: the coupon. */
  text?: string;
  /** Closes the pop-up afterwards, whatever the click does. */
  close?: boolean;
}

export interface PopupButton {
  id: string;
  text: string;
  action?: Action;
}

/** One question. The answer is act "submitted" with `element` = event and `value`. */
export interface PopupInput {
  kind: "email" | "choice" | "text";
  label: string;
  /** choice: the answers. */
  options?: string[];
  /** Name of the event that records the answer. */
  event: string;
  /** Label of the button; empty: the built-in one. */
  submit?: string;
}

export interface PopupContent {
  title?: string;
  body?: string;
  image?: string;
  imageAlt?: string;
  /** Width and height of the image in pixels, which reserve its place; missing: 16:9. */
  imageWidth?: number;
  imageHeight?: number;
  /** At most three are shown; the first is the main one. */
  buttons?: PopupButton[];
  input?: PopupInput;
  /** kind html. The renderer replaces `##campaignId##` and `##campaignId_batchId##`. */
  html?: string;
  /** kind html: the frame has the page's own origin instead of a sandbox. */
  trusted?: boolean;
  kv?: Record<string, string>;
}

export interface PopupTheme {
  mode?: "auto" | "dark" | "light";
  /** Any CSS colours. */
  color?: string;
  textColor?: string;
  background?: string;
  foreground?: string;
  /** CSS pixels. */
  radius?: number;
  /** How dark the page behind the pop-up is, 0 to 1. Missing: 0.55 for box, image and html
   * in the middle; corner and banner have no overlay. 0 leaves the page usable. */
  overlay?: number;
  /** CSS pixels. */
  width?: number;
}

/** One pop-up in the answer to POST {prefix}/messages. The renderer needs neither `when`
 * nor `caps`. */
export interface WirePopup {
  id: string;
  variant?: string;
  token: string;
  kind: PopupKind;
  position?: PopupPosition;
  priority?: number;
  content: PopupContent;
  /** A click on the pop-up itself (text, image), not on its buttons. */
  click?: Action;
  theme?: PopupTheme;
  when?: Record<string, unknown>;
  caps?: { session?: number };
  closeAfterClick?: boolean;
  /** CleverTap's ids of the pop-up. */
  legacy?: { msgId: string; pivotId?: string };
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
