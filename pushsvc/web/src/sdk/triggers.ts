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

/** Pixels in a millisecond: nobody reads at this speed. */
const flick = 2;

/** With a mouse: the pointer leaves by the top, where tabs and address bar are.
 * With a finger: back up in a hurry, to where those come out; or back from another
 * tab. */
function onExit(fire: () => void, signal: AbortSignal): void {
  const leave = (event: MouseEvent) => {
    if (event.clientY <= 0 && !event.relatedTarget) fire();
  };
  document.documentElement.addEventListener("mouseleave", leave, { signal });
  if (!matchMedia("(pointer: coarse)").matches) return;
  let from = { y: scrollY, time: Date.now() };
  const scrolled = () => {
    const now = { y: scrollY, time: Date.now() };
    if (now.y > from.y || now.time - from.time > 500) from = now;
    if (from.y - now.y > Math.max(200, flick * (now.time - from.time))) fire();
  };
  addEventListener("scroll", scrolled, { passive: true, signal });
  const back = () => {
    if (document.visibilityState === "visible") fire();
  };
  document.addEventListener("visibilitychange", back, { signal });
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
