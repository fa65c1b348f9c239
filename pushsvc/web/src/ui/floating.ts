// What floats over the page: the host, its style sheet, focus and Escape.

import { followScheme } from "./look";
import { isTyping } from "./typing";
import styles from "./ui.css";

/** Prepares a root for our elements. Returns undefined if the engine lacks constructed
 * style sheets: a <style> would need the site's CSP to allow inline styles. */
export function styledRoot(host: HTMLElement): ShadowRoot | undefined {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(styles);
    root.adoptedStyleSheets = [sheet];
  } catch {
    return undefined;
  }
  return root;
}

/** Adds the host of everything that floats. Its id is public. */
export function floatingRoot(): ShadowRoot | undefined {
  const host = document.createElement("div");
  host.id = "webpush-prompt";
  const root = styledRoot(host);
  // Not in body: frameworks replace its children, and a transform on it would capture
  // position: fixed.
  if (root) document.documentElement.append(host);
  return root;
}

/** Moves what floats to the other edge of the view if it covers the visitor's own settings
 * here and not there. */
export function keepClear(): void {
  const host = document.getElementById("webpush-prompt");
  const panel = host?.shadowRoot?.querySelector("dialog[open], #bell:not([hidden])");
  if (!host || !panel) return;
  const covers = () => {
    // The host's box: the panel may still be moving in.
    const { top, bottom } = host.getBoundingClientRect();
    const { left, right } = panel.getBoundingClientRect();
    return [...document.querySelectorAll("webpush-preferences")].some((element) => {
      const box = element.getBoundingClientRect();
      return box.bottom > box.top && box.top < bottom && box.bottom > top && box.left < right && box.right > left;
    });
  };
  if (!covers()) return;
  host.classList.toggle("above");
  if (covers()) host.classList.toggle("above");
}

/** Opens a dialog inside root that is not modal; quiet: without taking the focus. escaped
 * runs at Escape while it is open. Returns a function that closes it and restores the
 * focus. */
export function openDialog(root: ShadowRoot, dialog: HTMLDialogElement, escaped: () => void, quiet?: boolean): () => void {
  const before = document.activeElement;
  const stopScheme = followScheme(dialog);
  if (quiet || isTyping(before)) {
    // show() would take the caret away.
    dialog.open = true;
  } else {
    dialog.show();
    // The dialog itself, not a button: Space must scroll the page, not accept.
    dialog.focus({ preventScroll: true });
    // show() has scrolled to the first button.
    dialog.scrollTop = 0;
  }
  keepClear();
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape" && !event.defaultPrevented && !event.isComposing) escaped();
  };
  addEventListener("keydown", onKey);
  return () => {
    removeEventListener("keydown", onKey);
    stopScheme();
    const inside = root.activeElement;
    dialog.remove();
    if (inside && before instanceof HTMLElement && before !== root.host) before.focus({ preventScroll: true });
  };
}
