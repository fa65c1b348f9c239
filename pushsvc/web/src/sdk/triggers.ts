// What a visitor does that the prompt can wait for.

import type { After } from "../shared/wire";

/** Names that `webpush.event` got on this page. */
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

/** Resolves at the first of the triggers that after names, at once if it names
 * none; listens no longer than that or than signal. */
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
    // Else each click on the page would fail, and tell the site's error handling.
    return console.warn("webpush: this is no CSS selector: " + selector);
  }
  const listener = ({ target }: Event) => {
    if (target instanceof Element && target.closest(selector)) fire();
  };
  document.addEventListener("click", listener, { capture: true, signal });
}

function onScroll(percent: number, fire: () => void, signal: AbortSignal): void {
  const check = () => {
    const { scrollTop, scrollHeight, clientHeight } = document.scrollingElement ?? document.documentElement;
    // What cannot be scrolled was not scrolled.
    if (scrollHeight > clientHeight && (scrollTop / (scrollHeight - clientHeight)) * 100 >= percent) fire();
  };
  addEventListener("scroll", check, { passive: true, signal });
  check();
}

/** Where the page was scrolled to, in pixels, and when, in ms. */
export interface Spot {
  y: number;
  time: number;
}

/** Whether a pointer went out by the top, where tabs and address bar are; into is
 * what it went to, if the page knows. */
export const leftByTop = (y: number, into: unknown): boolean => y <= 0 && !into;

/** Whether a finger scrolled up from one spot to another faster than anybody
 * reads, 2 pixels in a millisecond, and by more than a flick. */
export const hurriedUp = (from: Spot, to: Spot): boolean =>
  from.y - to.y > Math.max(200, 2 * (to.time - from.time));

/** Whether who has been away for so many ms went to look elsewhere: shorter is a
 * message that was glanced at. */
export const wasAway = (hidden: number): boolean => hidden >= 5000;

/** With a mouse: the pointer leaves by the top. With a finger: back up in a hurry,
 * to where tabs and address bar come out; or back from somewhere else. */
export function onExit(fire: () => void, signal: AbortSignal): void {
  const leave = (event: MouseEvent) => {
    if (leftByTop(event.clientY, event.relatedTarget)) fire();
  };
  document.documentElement.addEventListener("mouseleave", leave, { signal });
  if (!matchMedia("(pointer: coarse)").matches) return;
  let from: Spot = { y: scrollY, time: Date.now() };
  const scrolled = () => {
    const to = { y: scrollY, time: Date.now() };
    // Down, or after a rest, the way up begins anew.
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

/** The widespread consent banners; the operator's selector is for all others. */
const banners =
  "#onetrust-banner-sdk,#CybotCookiebotDialog,#didomi-notice,#truste-consent-track,#iubenda-cs-banner,#cookie-law-info-bar," +
  "#cookiescript_injected,#tarteaucitronAlertBig,#axeptio_overlay,#cmpbox,#hs-eu-cookie-confirmation,#cookie-notice," +
  ".qc-cmp2-container,.cky-consent-container,.osano-cm-dialog,.cmplz-cookiebanner,.fc-consent-root,.cc-window,.cm-notice," +
  "[id^=sp_message_container]";

/** Whether a consent banner is on display. */
export function bannerShown(selector: string | undefined): boolean {
  return [...document.querySelectorAll(selector ? selector + "," + banners : banners)].some((element) => {
    const { width, height } = element.getBoundingClientRect();
    const { visibility, opacity } = getComputedStyle(element);
    return width * height > 0 && visibility === "visible" && opacity !== "0";
  });
}

/** Whether a part of the page from top to bottom leaves a question room above or
 * below it: six tenths of the view, as the question may be that high. In CSS px. */
export const leavesRoom = (top: number, bottom: number, view: number): boolean =>
  bottom <= 0 || top >= view || Math.max(top, view - bottom) >= 0.6 * view;

/** Whether the question has to wait: for a consent banner, or because it would cover
 * the visitor's own settings, where the same is answered. */
export function inTheWay(selector: string | undefined): boolean {
  return bannerShown(selector) || [...document.querySelectorAll<HTMLElement & { busy?: boolean }>("webpush-preferences")].some((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return element.busy || (bottom > top && !leavesRoom(top, bottom, innerHeight));
  });
}
