// Clicks in custom HTML, without a word by its author: links, buttons, and what
// listens to clicks. Links do not take the frame away: the page opens them.

import type { FrameMessage } from "../shared/popup";

type Click = Extract<FrameMessage, { say: "click" }>;

const tracked = "a[wzrk_c2a], button[wzrk_c2a]";
const clickable = "a[href], button, input[type=submit], input[type=button], input[type=image], area[href], summary, [role=button], [role=link], [onclick]";

/** As CleverTap: so much of each value. */
const short = (text: string | null | undefined) => (text ?? "").replace(/\s+/g, " ").trim().slice(0, 20);

/** Calls begin before the HTML's own listeners of a click, and end after them,
 * with the click if it was on something; needed: it has to be reported even if
 * all it did was to close. */
export function watchClicks({ begin, end }: { begin(): void; end(click: Click | undefined, needed: boolean): void }): void {
  const listening = listeners();
  addEventListener(
    "click",
    (event) => {
      const path = event.composedPath().filter((node): node is Element => node instanceof Element);
      const inner = path[0];
      if (!inner) return;
      begin();
      const c2a = inner.closest(tracked);
      const found = c2a ?? inner.closest(clickable) ?? path.find((node) => listening.has(node) || (node as HTMLElement).onclick);
      const link = inner.closest<HTMLAnchorElement>("a[href], area[href]");
      let over = false;
      const finish = () => {
        if (over) return;
        over = true;
        const url = link && !event.defaultPrevented ? follow(event, link) : undefined;
        // After the click's default, a form's submit for instance.
        setTimeout(() => end(found ? describe(found, url, link?.target) : undefined, !!c2a || !!url));
      };
      // Whoever stops it keeps it from our last listener: then it is over after
      // the listener that stopped it.
      for (const name of ["stopPropagation", "stopImmediatePropagation"] as const) {
        const original = event[name];
        event[name] = () => {
          original.call(event);
          queueMicrotask(finish);
        };
      }
      addEventListener("click", finish, { once: true });
      // Listeners that stop nothing and windows without bubbling: in any case.
      setTimeout(finish);
    },
    true,
  );
}

/** Keeps a link from taking the frame along, and gives where it wants to. */
function follow(event: Event, link: HTMLAnchorElement): string | undefined {
  const address = (link.getAttribute("href") ?? "").trim();
  if (/^javascript:/i.test(address)) return undefined; // stays in the sandbox
  event.preventDefault();
  if (address.startsWith("#") || !address) {
    document.getElementById(address.slice(1))?.scrollIntoView();
    return undefined;
  }
  return link.href;
}

function describe(node: Element, url: string | undefined, target = ""): Click {
  const { id } = node;
  const text = (node as HTMLElement).innerText || node.getAttribute("aria-label") || (node.querySelector("img") ?? node).getAttribute("alt");
  const name = node.getAttribute("name");
  const value = node.getAttribute("value");
  const c2a = node.getAttribute("wzrk_c2a");
  const props: Record<string, string> = {};
  for (const [key, given] of Object.entries({ innerText: text, id, name, value, url, c2a })) {
    if (short(given)) props["wzrk_click_" + key] = short(given);
  }
  const element = short(c2a) || short(id) || short(name) || short(text) || short(value) || node.localName;
  return { say: "click", element, url, newTab: target === "_blank", props };
}

/** The elements that scripts have given a click listener. */
function listeners(): WeakSet<EventTarget> {
  const listening = new WeakSet<EventTarget>();
  const original = EventTarget.prototype.addEventListener;
  EventTarget.prototype.addEventListener = function (this: EventTarget, type: string, ...rest: [EventListenerOrEventListenerObject | null]) {
    // Delegation, as by jQuery, listens on all there is and tells nothing.
    if (type === "click" && this instanceof Element && this !== document.documentElement && this !== document.body) listening.add(this);
    original.call(this ?? window, type, ...rest);
  };
  return listening;
}
