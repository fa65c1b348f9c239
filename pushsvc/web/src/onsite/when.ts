// What a pop-up waits for on a page.

import type { PopupRule } from "../shared/onsite";
import type { Events, triggered } from "../sdk/triggers";

export type When = NonNullable<PopupRule["when"]>;

const activities = ["mousemove", "keydown", "scroll", "mousedown", "touchmove", "click"];

/** Resolves at the first of the conditions in when, at once without any; never after signal. */
export function due(when: When, trigger: typeof triggered, events: Events, signal: AbortSignal): Promise<void> {
  const { seconds, idle, scroll, click, event, exit } = when;
  const first: Promise<void>[] = [];
  const done = new AbortController();
  signal.addEventListener("abort", () => done.abort());
  if (seconds) first.push(after(seconds * 1000, done.signal));
  if (idle) first.push(inactive(idle * 1000, done.signal));
  if (scroll || click || event || exit) first.push(trigger({ scroll, click, event, exit }, events, done.signal));
  if (!first.length) return Promise.resolve();
  return Promise.race(first).finally(() => done.abort());
}

function after(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => clearTimeout(timer));
  });
}

/** Resolves when the visitor has done nothing for so long. */
function inactive(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let timer = setTimeout(resolve, ms);
    const again = () => {
      clearTimeout(timer);
      timer = setTimeout(resolve, ms);
    };
    for (const name of activities) addEventListener(name, again, { capture: true, passive: true, signal });
    signal.addEventListener("abort", () => clearTimeout(timer));
  });
}
