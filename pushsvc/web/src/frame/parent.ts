// The parent of HTML in the sandbox: it has what CleverTap's guide tells pop-ups to call,
// and nothing else of the page. `window.parent` is [Replaceable] (HTML §7.2.2), also for an
// opaque origin.

import { frameCalls, type FrameMessage, type FrameStart } from "../shared/popup";

type Names = Record<string, unknown>;

/** The ids of CleverTap's wrappers and overlays. */
const ids = ["wizParDiv0", "wizParDiv1", "wizParDiv2", "intentPreview", "intentOpacityDiv", "intentOpacityDiv0", "intentOpacityDiv1", "intentOpacityDiv2", "wzrkImageOnlyDiv", "wizAdvBuilder", "wizPIPDiv"];

/** Installs the stand-in. clicked calls the HTML's own popupCallback. */
export function standIn(start: FrameStart, send: (message: FrameMessage) => void, close: () => void): { clicked(props: Record<string, string>): void } {
  const { msgId, pivotId, kv } = start;
  const open = (url: unknown, newTab = false) => send({ say: "open", url: String(new URL(String(url), start.page)), newTab });
  const clevertap = calls(send);
  const responses = { closeIframe: close, setEnum: (value: unknown) => "$E_" + String(value) };
  const location = place(start.page, open);
  const parent: Names = {
    document: wrappers(start.page, close),
    clevertap,
    wizrocket: clevertap,
    $WZRK_WR: responses,
    $CLTP_WR: responses,
    open: (url: unknown) => (open(url, true), null),
    postMessage() {},
    addEventListener() {},
    removeEventListener() {},
    dispatchEvent: () => true,
  };
  for (const name of ["window", "self", "parent", "top", "frames"]) parent[name] = parent;
  Object.defineProperty(parent, "location", { get: () => location, set: open });
  Object.defineProperty(window, "parent", { value: parent, configurable: true, writable: true });
  Object.assign(window, { clevertap, wizrocket: clevertap, $WZRK_WR: responses, $CLTP_WR: responses });
  return {
    clicked(props) {
      const { popupCallback } = clevertap;
      if (typeof popupCallback === "function") popupCallback({ msgId, pivotId, kv, msgCTkv: [props] });
    },
  };
}

/** Empty wrappers in a document of their own. Whatever removes or hides one closes the
 * pop-up. */
function wrappers(page: string, close: () => void): Document {
  const document = window.document.implementation.createHTMLDocument(page);
  const nodes = ids.map((id) => {
    const node = document.createElement("div");
    node.id = id;
    node.append(document.createElement("div"));
    document.body.append(node);
    return node;
  });
  const hidden = ({ style, hidden, childNodes, isConnected }: HTMLElement) =>
    !isConnected || hidden || !childNodes.length || style.display === "none" || style.visibility === "hidden" || style.opacity === "0";
  new MutationObserver(() => nodes.some(hidden) && close()).observe(document.body, { childList: true, subtree: true, attributes: true });
  return document;
}

/** `clevertap` with the functions of frameCalls. Functions cannot be passed as arguments. */
function calls(send: (message: FrameMessage) => void): Names {
  const api: Names = {};
  for (const name of frameCalls) {
    const parts = name.split(".");
    const last = parts.pop()!;
    let target = api;
    for (const part of parts) target = (target[part] ??= {}) as Names;
    target[last] = (...args: unknown[]) => send({ say: "call", name, args: JSON.parse(JSON.stringify(args)) as unknown[] });
  }
  return api;
}

/** `parent.location`: reads as the page's address; setting it opens the address in the page. */
function place(page: string, open: (url: unknown) => void): Names {
  const url = new URL(page);
  const location: Names = { assign: open, replace: open, reload() {}, toString: () => page };
  for (const name of ["origin", "protocol", "host", "hostname", "port", "pathname", "search", "hash"] as const) location[name] = url[name];
  Object.defineProperty(location, "href", { get: () => page, set: open });
  return location;
}
