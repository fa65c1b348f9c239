// What floats over the page: the host, its style sheet, focus and Escape.

import { followScheme } from "./look";
import { isTyping } from "./typing";
import styles from "./ui.css";

/** Prepares a root for our elements; undefined where the engine lacks constructed
 * style sheets (a <style> would need the site's CSP to allow inline styles). */
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

/** The host of all that floats. Its id is public. */
export function floatingRoot(): ShadowRoot | undefined {
  const host = document.createElement("div");
  host.id = "webpush-prompt";
  const root = styledRoot(host);
  // Not into body: frameworks swap its children, and a transform on it would
  // catch position: fixed.
  if (root) document.documentElement.append(host);
  return root;
}

/** Moves what floats to the view's other edge where it covers the visitor's own
 * settings, if it covers none there. */
export function keepClear(): void {
  const host = document.getElementById("webpush-prompt");
  const panel = host?.shadowRoot?.querySelector("dialog[open], #bell:not([hidden])");
  if (!host || !panel) return;
  const covers = () => {
    // The host's own: the panel may still be on its way in.
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

/** Opens a dialog inside root without being modal, and with quiet without the focus.
 * escaped runs at Escape, as long as it is open. Returns what closes it and gives the
 * focus back. */
export function openDialog(root: ShadowRoot, dialog: HTMLDialogElement, escaped: () => void, quiet?: boolean): () => void {
  const before = document.activeElement;
  const stopScheme = followScheme(dialog);
  if (quiet || isTyping(before)) {
    // show() would take the caret away.
    dialog.open = true;
  } else {
    dialog.show();
    // The dialog itself and not a button: Space must scroll on, not accept.
    dialog.focus({ preventScroll: true });
    // show() has gone to the first button before.
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
