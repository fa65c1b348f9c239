// What the prompt can wait for.

import type { After } from "../shared/wire";

/** The names that `webpush.event` received on this page. */
export class Events {
  private readonly names = new Set<string>();
  private readonly target = new EventTarget();

  add(name: string): void {
    this.names.add(name);
    this.target.dispatchEvent(new Event(name));
  }

  when(name: string, then: () => void, signal: AbortSignal): void {
    if (this.names.has(name)) then();
    else this.target.addEventListener(name, then, { signal });
  }
}

/** Resolves at the first trigger in after, at once without any. It stops listening then, or
 * when signal aborts. */
export function triggered(after: After, events: Events, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const { scroll, click, event, exit } = after;
    if (!scroll && !click && !event && !exit) return resolve();
    const done = new AbortController();
    const fire = () => {
      done.abort();
      resolve();
    };
    signal.addEventListener("abort", () => done.abort());
    if (event) events.when(event, fire, done.signal);
    if (click) onClick(click, fire, done.signal);
    if (scroll) onScroll(scroll, fire, done.signal);
    if (exit) onExit(fire, done.signal);
  });
}

function onClick(selector: string, fire: () => void, signal: AbortSignal): void {
  try {
    document.querySelector(selector);
  } catch {
    // Otherwise each click on the page would throw into the site's error handling.
    return console.warn("webpush: not a CSS selector: " + selector);
  }
  const listener = ({ target }: Event) => {
    if (target instanceof Element && target.closest(selector)) fire();
  };
  document.addEventListener("click", listener, { capture: true, signal });
}

function onScroll(percent: number, fire: () => void, signal: AbortSignal): void {
  const check = () => {
    const { scrollTop, scrollHeight, clientHeight } = document.scrollingElement ?? document.documentElement;
    // A page that cannot scroll has not been scrolled.
    if (scrollHeight > clientHeight && (scrollTop / (scrollHeight - clientHeight)) * 100 >= percent) fire();
  };
  addEventListener("scroll", check, { passive: true, signal });
  check();
}

/** A scroll position in pixels, and its time in ms. */
export interface Spot {
  y: number;
  time: number;
}

/** Reports whether the pointer left by the top, towards tabs and address bar. into: the
 * element that it entered, if there is one. */
export const leftByTop = (y: number, into: unknown): boolean => y <= 0 && !into;

/** Reports whether a finger scrolled up faster than anyone reads, 2 pixels in a
 * millisecond, and further than a flick. */
export const hurriedUp = (from: Spot, to: Spot): boolean =>
  from.y - to.y > Math.max(200, 2 * (to.time - from.time));

/** Reports whether a visitor whose page was hidden for so many ms looked for something
 * else. A shorter time is a glance at a message. */
export const wasAway = (hidden: number): boolean => hidden >= 5000;

/** With a mouse: the pointer leaves by the top. With a finger: a fast scroll up, which
 * brings tabs and address bar into view, or a return to the page. */
export function onExit(fire: () => void, signal: AbortSignal): void {
  const leave = (event: MouseEvent) => {
    if (leftByTop(event.clientY, event.relatedTarget)) fire();
  };
  document.documentElement.addEventListener("mouseleave", leave, { signal });
  if (!matchMedia("(pointer: coarse)").matches) return;
  let from: Spot = { y: scrollY, time: Date.now() };
  const scrolled = () => {
    const to = { y: scrollY, time: Date.now() };
    // A scroll down or a rest ends the way up.
    if (to.y > from.y || to.time - from.time > 500) from = to;
    if (hurriedUp(from, to)) fire();
  };
  addEventListener("scroll", scrolled, { passive: true, signal });
  let gone = Infinity;
  const turn = () => {
    if (document.visibilityState === "hidden") gone = Date.now();
    else if (wasAway(Date.now() - gone)) fire();
  };
  document.addEventListener("visibilitychange", turn, { signal });
}

/** Common consent banners. The operator's selector is for all others. */
const banners =
  "#onetrust-banner-sdk,#CybotCookiebotDialog,#didomi-notice,#truste-consent-track,#iubenda-cs-banner,#cookie-law-info-bar," +
  "#cookiescript_injected,#tarteaucitronAlertBig,#axeptio_overlay,#cmpbox,#hs-eu-cookie-confirmation,#cookie-notice," +
  ".qc-cmp2-container,.cky-consent-container,.osano-cm-dialog,.cmplz-cookiebanner,.fc-consent-root,.cc-window,.cm-notice," +
  "[id^=sp_message_container]";

/** Reports whether a consent banner shows. */
export function bannerShown(selector: string | undefined): boolean {
  return [...document.querySelectorAll(selector ? selector + "," + banners : banners)].some((element) => {
    const { width, height } = element.getBoundingClientRect();
    const { visibility, opacity } = getComputedStyle(element);
    return width * height > 0 && visibility === "visible" && opacity !== "0";
  });
}

/** Reports whether a part of the page from top to bottom leaves room for a question above
 * or below it: six tenths of the view, which is the question's greatest height. In CSS px. */
export const leavesRoom = (top: number, bottom: number, view: number): boolean =>
  bottom <= 0 || top >= view || Math.max(top, view - bottom) >= 0.6 * view;

/** Reports whether the question has to wait: for a consent banner, or because it would
 * cover the visitor's own settings, which offer the same. */
export function inTheWay(selector: string | undefined): boolean {
  return bannerShown(selector) || [...document.querySelectorAll<HTMLElement & { busy?: boolean }>("webpush-preferences")].some((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return element.busy || (bottom > top && !leavesRoom(top, bottom, innerHeight));
  });
}
