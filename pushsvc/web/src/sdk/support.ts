import { isInstallable } from "./device";

const isSecurePage = (): boolean => isSecureContext && window.top === window;

/** Reports whether this page can have push, which needs all of these. On iOS Notification
 * may exist without PushManager. A frame cannot: the question would seem to be the outer
 * page's. */
export const supported = (): boolean => isSecurePage() && "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

/** Reports whether push works here once the site is on the home screen (iOS). */
export const installable = (): boolean =>
  isSecurePage() && !supported() && isInstallable(navigator.userAgent, navigator.maxTouchPoints);
