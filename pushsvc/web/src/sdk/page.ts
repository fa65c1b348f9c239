// When the page has time, and how often it was seen.

import { local, session } from "./storage";

/** Resolves after load, when the browser is idle. */
export function idle(): Promise<void> {
  return new Promise((resolve) => {
    const request = () =>
      typeof requestIdleCallback === "function"
        ? requestIdleCallback(() => resolve(), { timeout: 3000 })
        : setTimeout(resolve, 300);
    if (document.readyState === "complete") request();
    else addEventListener("load", request, { once: true });
  });
}

/** Resolves when the page is visible: neither in a background tab nor prerendered. */
export function visible(): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (document.visibilityState !== "visible") return;
      document.removeEventListener("visibilitychange", check);
      resolve();
    };
    document.addEventListener("visibilitychange", check);
    check();
  });
}

/** Counts one page view and returns the total on this origin. */
export function countView(): number {
  const views = (Number(local.get("views")) || 0) + 1;
  local.set("views", String(views));
  return views;
}

/** Time of this tab session's first page view in ms. */
export function sessionStart(now: number): number {
  const since = Number(session.get("since")) || now;
  session.set("since", String(since));
  return since;
}

/** Calls back when a single-page site has moved to another path. The Navigation API reports
 * it without a change of the site's history object; older engines count full page loads
 * only. */
export function onRoute(callback: () => void): void {
  let path = location.pathname;
  (window as { navigation?: EventTarget }).navigation?.addEventListener("navigatesuccess", () => {
    if (location.pathname === path) return;
    path = location.pathname;
    callback();
  });
}
