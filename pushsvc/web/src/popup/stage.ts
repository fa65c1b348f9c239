// The stage of a pop-up: the host with its shadow root, the dialog, focus, Escape, and the
// ways to end it.

import type { PopupFace, PopupOptions } from "../shared/popup";
import { applyColours, followScheme } from "../ui/look";
import { textOn } from "../ui/colour";
import { button, element } from "../ui/elements";
import { isTyping } from "../ui/typing";
import { sign } from "./signs";
import type { Texts } from "./texts_english";
import styles from "./popup.css";

/** Why a pop-up ends: the element of act "closed". */
export type Reason = "button" | "escape" | "overlay" | "action" | "script";

/** The ids of CleverTap's wrapper and overlay, by our layout class. Scripts of sites and of
 * custom HTML look for them to close a pop-up. */
const legacyIds: Record<string, [wrapper: string, overlay: string]> = {
  interstitial: ["intentPreview", "intentOpacityDiv"],
  banner: ["wizParDiv2", "intentOpacityDiv2"],
  picture: ["wzrkImageOnlyDiv", "intentOpacityDiv0"],
};

/** Adds a host with an open shadow root under <html>. Returns undefined if the engine lacks
 * constructed style sheets: a <style> would need the site's CSP to allow it. */
export function newRoot(id: string): ShadowRoot | undefined {
  const host = element("div");
  host.id = id;
  host.className = "webpush-popup";
  const root = host.attachShadow({ mode: "open" });
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(styles);
    root.adoptedStyleSheets = [sheet];
  } catch {
    return undefined;
  }
  // Not in body: frameworks replace its children, and a transform on it would capture
  // position: fixed.
  document.documentElement.append(host);
  return root;
}

/** Runs gone when another script removes or hides the host or a part of it. Returns a
 * function that stops. */
function watch(host: HTMLElement, gone: () => void): () => void {
  const parts = [host, ...host.children] as HTMLElement[];
  const observer = new MutationObserver(() => {
    if (parts.some((part) => !part.isConnected || part.hidden || part.style.display === "none" || part.style.visibility === "hidden")) gone();
  });
  observer.observe(document.documentElement, { childList: true });
  observer.observe(host, { childList: true, subtree: true, attributes: true, attributeFilter: ["style", "hidden"] });
  return () => observer.disconnect();
}

/** Applies light or dark, colours and sizes to a face. Returns a function that stops. */
export function dress(face: HTMLElement, theme: PopupOptions["popup"]["theme"] = {}): () => void {
  const { mode, color, textColor, background, foreground, radius, overlay, width } = theme;
  let stop = () => {};
  if (mode === "dark" || mode === "light") face.classList.toggle("dark", mode === "dark");
  else stop = followScheme(face);
  const set = (name: string, value: string) => face.style.setProperty(name, value);
  const pixels = (name: string, value: number | undefined) => value! >= 0 && set(name, value + "px");
  pixels("--own-radius", radius);
  pixels("--own-width", width || undefined);
  if (overlay! >= 0) set("--own-overlay", String(Math.min(overlay!, 1)));
  const valid = (value: string | undefined) => value && CSS.supports("color", value);
  if (valid(background)) set("--own-background", background!);
  if (valid(background) || valid(foreground)) {
    face.style.color = valid(foreground) ? foreground! : "";
    const wanted = valid(foreground) ? getComputedStyle(face).color : undefined;
    face.style.color = "";
    // Computed from the resulting colour, which may be the scheme's own.
    set("--own-ink", textOn(getComputedStyle(face).backgroundColor, wanted));
    set("--own-muted", "var(--ink)");
  }
  applyColours(face, { color, textColor });
  return stop;
}

/** One pop-up on display. */
export class Stage implements PopupFace {
  readonly element: HTMLDialogElement;
  private readonly focusedBefore = document.activeElement;
  private readonly cleanups: (() => void)[] = [];
  private ended = false;
  private waiting = false;

  /** modal: the page cannot be used meanwhile. */
  constructor(
    readonly root: ShadowRoot,
    readonly options: PopupOptions,
    readonly texts: Texts,
    layout: string,
    private readonly modal: boolean,
  ) {
    const dialog = (this.element = element("dialog", "dialog", "face " + layout));
    dialog.tabIndex = -1;
    // Else the browser scrolls to the first field, and the top is out of view.
    dialog.autofocus = true;
    dialog.dir = options.dir ?? getComputedStyle(document.documentElement).direction;
    const host = root.host as HTMLElement;
    const ids = legacyIds[layout.replace("html ", "").split(" ")[0]!] ?? ["wizParDiv0", "intentOpacityDiv0"];
    host.id = ids[0];
    const overlay = element("div");
    overlay.id = ids[1];
    host.append(overlay);
    root.append(dialog);
    this.cleanups.push(
      watch(host, () => this.finish("script")),
      dress(dialog, options.popup.theme),
    );
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented && !event.isComposing) this.finish("escape");
    };
    addEventListener("keydown", onKey);
    this.cleanups.push(() => removeEventListener("keydown", onKey));
    // Android's back gesture closes a modal dialog too.
    dialog.addEventListener("close", () => dialog.open || this.finish("escape"));
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.finish("escape");
    });
    // Only a press that began on the backdrop: selecting text may end outside.
    let outside = false;
    const isOutside = ({ target, clientX: x, clientY: y }: MouseEvent) => {
      const box = dialog.getBoundingClientRect();
      return modal && target === dialog && (dialog.matches(".out") || x < box.left || x > box.right || y < box.top || y > box.bottom);
    };
    dialog.addEventListener("pointerdown", (event) => (outside = isOutside(event)));
    dialog.addEventListener("click", (event) => outside && isOutside(event) && this.finish("overlay"));
  }

  /** Returns the cross that closes it. */
  cross(): HTMLButtonElement {
    const cross = button("close", "", () => this.finish("button"));
    cross.setAttribute("aria-label", this.texts.close);
    cross.append(sign("close"));
    return cross;
  }

  /** Lays it out invisibly until open(). */
  wait(): void {
    this.waiting = this.element.open = true;
    this.element.classList.add("waiting");
  }

  /** Shows it. A stage that is not modal does not take the focus from a visitor who is
   * typing. */
  open(): void {
    const dialog = this.element;
    if (this.ended || (dialog.open && !this.waiting)) return;
    dialog.open = this.waiting = false;
    dialog.classList.remove("waiting");
    if (this.modal) {
      dialog.setAttribute("aria-modal", "true");
      dialog.showModal();
    } else if (isTyping(this.focusedBefore)) {
      dialog.open = true;
      return;
    } else {
      dialog.show();
    }
    // The dialog itself, not a button: Space must not answer.
    dialog.focus({ preventScroll: true });
    // The browser has scrolled to the first button.
    dialog.scrollTop = 0;
  }

  /** Ends it with act "closed". */
  finish(reason: Reason): void {
    if (this.ended) return;
    this.close(() => this.options.act({ act: "closed", element: reason }, this.options.popup));
  }

  /** Ends it because it has nothing to show. */
  fail(what: string): void {
    if (this.ended) return;
    this.close(() => this.options.act({ act: "error", element: what }, this.options.popup));
  }

  close(report?: () => void): void {
    if (this.ended) return;
    this.ended = true;
    for (const end of this.cleanups) end();
    const inside = this.root.activeElement;
    if (this.element.open) this.element.close();
    this.root.host.remove();
    if (inside && this.focusedBefore instanceof HTMLElement) this.focusedBefore.focus({ preventScroll: true });
    report?.();
    this.options.closed();
  }

  /** Runs end when it is gone. */
  atEnd(end: () => void): void {
    this.cleanups.push(end);
  }
}
