// clevertap.notifications.push: reads the arguments and decides what follows.

/** The options, with defaults filled in. */
export interface Wish {
  titleText: string;
  bodyText: string;
  okButtonText: string;
  rejectButtonText: string;
  okButtonColor: string;
  okButtonAriaLabel?: string;
  rejectButtonAriaLabel?: string;
  skipDialog: boolean;
  askAgainTimeInSeconds: number;
  serviceWorkerPath: string;
  okCallback?: () => void;
  rejectCallback?: () => void;
  subscriptionCallback?: () => void;
  /** Names of given options that have no effect here. */
  ignored: string[];
}

const week = 604_800;
const orange = "#f28046";
const positions = [
  "titleText",
  "bodyText",
  "okButtonText",
  "rejectButtonText",
  "okButtonColor",
  "skipDialog",
  "askAgainTimeInSeconds",
];

/** These options mean something to CleverTap only: its branding, plain HTTP, Safari before
 * VAPID. */
const withoutEffect = [
  "hidePoweredByCT",
  "httpsPopupPath",
  "httpsIframePath",
  "apnsWebPushId",
  "apnsWebPushServiceUrl",
  "okButtonAfterText",
];

/** Reads the arguments of one call, as an object or by position. */
export function readWish(args: unknown[]): Wish {
  const given: Record<string, unknown> =
    args.length === 1 && typeof args[0] === "object" && args[0]
      ? (args[0] as Record<string, unknown>)
      : Object.fromEntries(positions.map((name, i) => [name, args[i]]));
  const text = (name: string) => (given[name] == null ? "" : String(given[name]));
  const call = (name: string) => (typeof given[name] === "function" ? (given[name] as () => void) : undefined);
  const color = text("okButtonColor");
  const again = given.askAgainTimeInSeconds == null ? NaN : Number(given.askAgainTimeInSeconds);
  return {
    titleText: text("titleText"),
    bodyText: text("bodyText"),
    okButtonText: text("okButtonText"),
    rejectButtonText: text("rejectButtonText"),
    okButtonColor: /^#[0-9a-f]{6}$/i.test(color) ? color : orange,
    okButtonAriaLabel: text("okButtonAriaLabel") || undefined,
    rejectButtonAriaLabel: text("rejectButtonAriaLabel") || undefined,
    skipDialog: !!given.skipDialog,
    askAgainTimeInSeconds: again >= 0 ? again : week,
    serviceWorkerPath: text("serviceWorkerPath"),
    okCallback: call("okCallback"),
    rejectCallback: call("rejectCallback"),
    subscriptionCallback: call("subscriptionCallback"),
    ignored: withoutEffect.filter((name) => given[name] !== undefined),
  };
}

/** The facts that decide. */
export interface Surroundings {
  account: boolean;
  serviceWorker: boolean;
  secure: boolean;
  pushManager: boolean;
  notification: boolean;
  permission: NotificationPermission;
  /** When a prompt was last shown, in ms; 0: never. */
  shown: number;
  open: boolean;
  now: number;
}

/** register: subscribe silently. subscribe: open the browser's question at once. show: show
 * the soft prompt first. nothing: log the error, if there is one. */
export type Decision = { step: "nothing"; error?: string } | { step: "register" | "subscribe" | "show" };

const nothing = (error?: string): Decision => ({ step: "nothing", error });

/** Decides in CleverTap's order. */
export function decide(at: Surroundings, wish: Wish): Decision {
  if (!at.account) return nothing("Account ID is not set");
  if (!at.serviceWorker) return nothing();
  if (!at.secure) return nothing("Make sure you are https or localhost to register for notifications");
  if (!at.pushManager) return nothing("Web Push Notification is not supported on this browser");
  if (!at.notification) return nothing("Notification not supported on this Device or Browser");
  if (at.permission === "granted") return { step: "register" };
  if (at.permission === "denied") return nothing();
  if (wish.skipDialog) return { step: "subscribe" };
  if (!wish.titleText || !wish.bodyText || !wish.okButtonText || !wish.rejectButtonText) {
    return nothing("Missing input parameters; please specify title, body, ok button and cancel button text");
  }
  // The distance is absolute: a time stamp from a clock that ran ahead must not silence the
  // prompt for years.
  if (at.shown > 0 && Math.abs(at.now - at.shown) < wish.askAgainTimeInSeconds * 1000) return nothing();
  return at.open ? nothing() : { step: "show" };
}
