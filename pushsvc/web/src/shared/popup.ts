// The contract between the page runner (onsite.js), the renderer (popup.js) and
// the sandboxed frame of custom HTML (frame.js). Member names of WirePopup are
// JSON names of POST {prefix}/messages (Go: pushsvc.Popup).

export type PopupKind = "box" | "banner" | "interstitial" | "corner" | "image" | "inbox" | "html" | "custom";

/** Where it stands. banner: top or bottom; corner: one of the four. html takes
 * all of them, and `full` for the whole view; without, it is in the middle. */
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
  /** call: `window[function](kv)`; dotted paths of own properties. */
  function?: string;
  /** copy: the coupon. */
  text?: string;
  /** Closes the pop-up after it, whatever it does. */
  close?: boolean;
}

export interface PopupButton {
  id: string;
  text: string;
  action?: Action;
}

/** One question. The answer comes as act "submitted" with `element` = event and
 * `value`. */
export interface PopupInput {
  kind: "email" | "choice" | "text";
  label: string;
  /** choice: the answers. */
  options?: string[];
  /** Name of the event that the answer is. */
  event: string;
  /** Label of the button; empty: the built-in one. */
  submit?: string;
}

export interface PopupContent {
  title?: string;
  body?: string;
  image?: string;
  imageAlt?: string;
  /** Width and height of the image in pixels, so that its place is reserved;
   * without them a place of 16:9 is. */
  imageWidth?: number;
  imageHeight?: number;
  /** At most three are shown; the first is the main one. */
  buttons?: PopupButton[];
  input?: PopupInput;
  /** kind html. `##campaignId##` and `##campaignId_batchId##` are replaced. */
  html?: string;
  /** kind html: a frame of the page's own origin instead of a sandbox. */
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
  /** Darkness of the page behind it, 0 to 1. Without: 0.55 for box, image, html
   * in the middle; corner and banner have none. 0 leaves the page usable. */
  overlay?: number;
  /** CSS pixels. */
  width?: number;
}

/** One pop-up as POST {prefix}/messages answers it. Who only shows it needs
 * neither `when` nor `caps`. */
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
  /** CleverTap's names for it. */
  legacy?: { msgId: string; pivotId?: string };
}

/** What happened. `element` of clicked: the id of the button, `body`, `image`,
 * `copy`, or for html what names the element (`wzrk_c2a`, id, name or text).
 * `element` of closed: why: `button` (the cross), `escape`, `overlay`, `action`
 * (after a click that closes), `script` (the page's or the HTML's own code).
 * `props` of clicked: `wzrk_click_*` of custom HTML, 20 characters each. */
export interface PopupEvent {
  act: "viewed" | "clicked" | "closed" | "submitted" | "error";
  element?: string;
  value?: string;
  props?: Record<string, string>;
}

/** What both faces and the inbox need of who shows them. */
export interface PopupHost {
  site: { name?: string; icon?: string };
  /** BCP 47 tag of the page's language. */
  language: string;
  dir?: "ltr" | "rtl";
  /** Config.prefix and Config.version, for {prefix}/frame.html?v={version}. */
  prefix: string;
  version: string;
  /** `window.clevertap`, if it is ours: the inbox gives it its functions. */
  api?: object;
  /** Called synchronously in the click or key press, before run. `of` is the
   * pop-up that it is about (inbox messages differ from the first one shown).
   * "viewed" comes from here for inbox messages only (first seen in the open
   * list); the views of all others are the runner's, by PopupFace.element. */
  act(event: PopupEvent, of: WirePopup): void;
  /** Does what the click wants, synchronously in the click; for html in the
   * message from the frame that follows it, with the page still activated.
   * Never with do "close", "none", "copy" or "submit": popup.js does those
   * itself. URLs were checked to be http(s). */
  run(action: Action, kv: Record<string, string>, of: WirePopup): void;
  /** A call of custom HTML to `window.parent.clevertap` (html only), one of
   * frameCalls. args are JSON. Without it `window.clevertap` is called. */
  call?(name: FrameCall, args: unknown[], of: WirePopup): void;
}

/** The page's names that HTML in the sandbox may call. */
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

/** What show() takes. kind "custom" is never shown. */
export interface PopupOptions extends PopupHost {
  popup: WirePopup;
  /** Once, when it is gone, whoever took it away; after act "closed", if the
   * visitor did. Not for inbox. */
  closed(): void;
}

/** What show() gave. */
export interface PopupFace {
  /** What the visitor sees of it, for an IntersectionObserver. */
  element: HTMLElement;
  /** Takes it away without act "closed". */
  close(): void;
}

/** popup.js as a module. show gives undefined where the engine lacks what it
 * takes (constructed style sheets), or where there is nothing to show. */
export interface Popups {
  show(options: PopupOptions): PopupFace | undefined;
  /** Shows the bell with the messages that earlier pages have kept in
   * localStorage (`webpush:inbox`), if any; show() with kind inbox adds to
   * them. Call it once per page where that key is set. */
  inbox(host: PopupHost): PopupFace | undefined;
}

// Callbacks of CleverTap's API (features.md a.7).

/** What notificationCallback gets. */
export interface CallbackMessage {
  msgContent: { title?: string; description?: string; imageUrl?: string; ctaText?: string; html?: string; type?: number };
  msgId: string;
  pivotId?: string;
  kv?: Record<string, string>;
  deliveryTrigger?: { inactive?: number; scroll?: number; isExitIntent?: boolean; deliveryDelayed?: number };
}

/** What popupCallback gets, and raisePopupNotificationClicked takes. */
export interface PopupCallbackMessage {
  msgId: string;
  pivotId?: string;
  kv?: Record<string, string>;
  msgCTkv?: Record<string, string>[];
}

// Between popup.js and the frame of custom HTML, by postMessage. The frame is
// {prefix}/frame.html?v={version}: a fixed document with frame.js inside, which
// says that it is ready, gets the HTML with a port by message, and writes it. The
// server answers it by httpapi.ServeFrame, with a policy of its own that has
// `sandbox`: it has an opaque origin even where somebody opens it by itself, and
// the site's own policy does not stop its inline scripts.

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
