// What a click does.

import { webURL } from "../shared/address";
import type { Action, PopupHost, WirePopup } from "../shared/popup";
import { element } from "../ui/elements";
import { sign } from "./signs";
import type { Reason } from "./stage";
import type { Texts } from "./texts_english";

/** Where a click is: on a stage, or on a message of the inbox. */
export interface Target {
  options: PopupHost & { popup: WirePopup };
  texts: Texts;
  root: ShadowRoot;
  element: HTMLElement;
  finish(reason: Reason): void;
}

/** How long "Copied" and "Thank you!" show before the pop-up closes, in ms. */
export const feedbackTime = 2500;

/** Makes a link if the click opens something, else a button. A click with a modifier key or
 * the middle button is left to the browser, and it counts. */
export function control(stage: Target, id: string, action: Action | undefined, name: string): HTMLElement {
  const url = webURL(action?.do === "open" ? action.url : undefined);
  const node = url ? element("a") : element("button");
  if (node instanceof HTMLAnchorElement) {
    node.href = url!;
    node.rel = "noopener";
    // Always set, because the page may have a <base target>.
    node.target = action!.newTab ? "_blank" : "_self";
  } else {
    node.type = "button";
  }
  node.id = id;
  node.addEventListener("click", (event) => {
    const click = event as MouseEvent;
    if (url && (click.ctrlKey || click.metaKey || click.shiftKey || click.altKey)) {
      stage.options.act({ act: "clicked", element: name }, stage.options.popup);
      return;
    }
    event.preventDefault();
    perform(stage, action, name, node);
  });
  node.addEventListener("auxclick", (event) => {
    if (url && (event as MouseEvent).button === 1) stage.options.act({ act: "clicked", element: name }, stage.options.popup);
  });
  return node;
}

/** Reports the click and does what it wants, in the click. node: what was clicked, if it is
 * one of our elements. */
export function perform(stage: Target, action: Action = {}, name: string, node?: HTMLElement, props?: Record<string, string>): void {
  const { options, root } = stage;
  const { popup } = options;
  options.act({ act: "clicked", element: name, ...(props && { props }) }, popup);
  const kind = action.do;
  if (kind === "submit") {
    root.querySelector("form")?.requestSubmit();
    return;
  }
  let close = action.close || kind === "close";
  if (kind === "copy") {
    const copied = copy(stage, action.text ?? "");
    if (node) void copied.then((ok) => ok && sayCopied(stage, node));
    if (close) setTimeout(() => stage.finish("action"), feedbackTime);
    return;
  }
  if (kind === "open" || kind === "call" || kind === "subscribe") {
    const url = webURL(action.url);
    const { url: _, ...others } = action;
    if (kind !== "open" || url) options.run({ ...others, ...(url && { url }) }, popup.content.kv ?? {}, popup);
    // The pop-up must not cover the question.
    close ||= kind === "subscribe";
  }
  if (close) stage.finish("action");
}

/** Copies to the clipboard, by execCommand if the clipboard API is not allowed. */
async function copy(stage: Target, text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Inside the dialog: nothing outside can have the selection while it is modal.
    const field = element("textarea", "", "spoken");
    field.value = text;
    const focused = stage.root.activeElement as HTMLElement | null;
    stage.element.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    focused?.focus({ preventScroll: true });
    return done;
  }
}

/** Shows "Copied" on the button for a while, and announces it to screen readers. */
function sayCopied(stage: Target, node: HTMLElement): void {
  const before = [...node.childNodes];
  const announcement = element("span", "", "spoken", stage.texts.copied);
  announcement.setAttribute("role", "status");
  stage.element.append(announcement);
  // The button keeps its size.
  const { width, height } = node.getBoundingClientRect();
  node.style.cssText = `flex:0 0 ${width}px;min-width:0;height:${height}px`;
  node.replaceChildren(sign("done"), stage.texts.copied);
  setTimeout(() => {
    announcement.remove();
    node.style.cssText = "";
    node.replaceChildren(...before);
  }, feedbackTime);
}
