// Reports clicks in custom HTML without its author's help: on links, buttons, and elements
// that listen to clicks. The page opens the links; the frame stays where it is.

import type { FrameMessage } from "../shared/popup";

type Click = Extract<FrameMessage, { say: "click" }>;

const tracked = "a[wzrk_c2a], button[wzrk_c2a]";
const clickable = "a[href], button, input[type=submit], input[type=button], input[type=image], area[href], summary, [role=button], [role=link], [onclick]";

/** Cuts each value as CleverTap does. */
const short = (text: string | null | undefined) => (text ?? "").replace(/\s+/g, " ").trim().slice(0, 20);

/** Calls begin before the HTML's own listeners of a click, and end after them. end receives
 * the click if it was on something. needed: report it even if all it did was to close. */
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
      let finished = false;
      const finish = () => {
        if (finished) return;
        finished = true;
        const url = link && !event.defaultPrevented ? follow(event, link) : undefined;
        // After the click's default action, for instance a form's submit.
        setTimeout(() => end(found ? describe(found, url, link?.target) : undefined, !!c2a || !!url));
      };
      // A listener that stops the event keeps it from our last listener. The click then
      // ends after the listener that stopped it.
      for (const name of ["stopPropagation", "stopImmediatePropagation"] as const) {
        const original = event[name];
        event[name] = () => {
          original.call(event);
          queueMicrotask(finish);
        };
      }
      addEventListener("click", finish, { once: true });
      // For listeners that stop the event in another way, and for windows without bubbling.
      setTimeout(finish);
    },
    true,
  );
}

/** Keeps a link from replacing the frame's document, and returns its address. */
function follow(event: Event, link: HTMLAnchorElement): string | undefined {
  const address = (link.getAttribute("href") ?? "").trim();
  if (/^javascript:/i.test(address)) return undefined; // it stays in the sandbox
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

/** The elements to which scripts have added a click listener. */
function listeners(): WeakSet<EventTarget> {
  const listening = new WeakSet<EventTarget>();
  const original = EventTarget.prototype.addEventListener;
  EventTarget.prototype.addEventListener = function (this: EventTarget, type: string, ...others: [EventListenerOrEventListenerObject | null]) {
    // Delegation, as by jQuery, listens on the whole document and so does not tell which
    // element is clickable.
    if (type === "click" && this instanceof Element && this !== document.documentElement && this !== document.body) listening.add(this);
    original.call(this ?? window, type, ...others);
  };
  return listening;
}
