import { webURL } from "../shared/address";
import type { Action } from "../shared/popup";

/** What actions need of the SDK. */
export interface Subscriber {
  subscribe(): unknown;
}

/** Calls a function of the page by its name, a path of own properties. Returns false if
 * there is no such function. Pop-ups must not call what prototypes have. */
export function callByName(root: object, path: string, kv: Record<string, string>): boolean {
  let owner: unknown;
  let target: unknown = root;
  for (const name of path.split(".")) {
    if ((typeof target !== "object" && typeof target !== "function") || !target || !Object.prototype.hasOwnProperty.call(target, name)) return false;
    owner = target;
    target = (target as Record<string, unknown>)[name];
  }
  if (typeof target !== "function") return false;
  target.call(owner, kv);
  return true;
}

/** Does what a click wants. Call it synchronously in the click. */
export function perform({ do: kind, url: address, newTab, function: name }: Action, kv: Record<string, string>, subscriber: Subscriber): void {
  const url = webURL(address);
  if (kind === "open" && url) {
    if (newTab) window.open(url, "_blank", "noopener");
    else location.assign(url);
  } else if (kind === "call" && name) {
    try {
      if (!callByName(window, name, kv)) console.warn(`webpush: the page has no function ${name}, which a pop-up calls`);
    } catch (error) {
      // The site's own error handling receives the site's own mistake.
      setTimeout(() => {
        throw error;
      });
    }
  } else if (kind === "subscribe") {
    subscriber.subscribe();
  }
}
