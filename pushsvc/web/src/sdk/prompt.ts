import type { Config, PromptConfig } from "../shared/wire";
import { textOn } from "./colour";
import styles from "./prompt.css";

/** How the visitor answered. */
export type Answer = "accept" | "reject" | "dismiss";

/** An open soft prompt. */
export interface Prompt {
  /** Takes it away without an answer. */
  close(): void;
}

type Tag = "div" | "h2" | "p" | "button" | "dialog";

/** Shows the soft prompt; undefined where the engine lacks constructed style
 * sheets (a <style> would need the site's CSP to allow inline styles).
 * answer runs once, synchronously in the visitor's click or key press, so that
 * it may ask for permission. Text nodes only: no markup comes from the config. */
export function showPrompt(config: Config, answer: (answer: Answer) => void): Prompt | undefined {
  const texts = config.prompt ?? {};
  const host = document.createElement("div");
  host.id = "webpush-prompt";
  const root = host.attachShadow({ mode: "open" });
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(styles);
    root.adoptedStyleSheets = [sheet];
  } catch {
    return undefined;
  }

  const close = () => {
    removeEventListener("keydown", onKey);
    const inside = root.activeElement;
    host.remove();
    if (inside && before instanceof HTMLElement) before.focus({ preventScroll: true });
  };
  const finish = (result: Answer) => {
    answer(result);
    close();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape" && !event.defaultPrevented && !event.isComposing) finish("dismiss");
  };

  const dialog = build(config, texts, finish);
  root.append(dialog);
  // Not into body: frameworks swap its children, and a transform on it would
  // catch position: fixed.
  document.documentElement.append(host);
  applyColours(dialog, texts);
  const before = document.activeElement;
  if (isTyping(before)) {
    // show() would take the caret away.
    dialog.open = true;
  } else {
    dialog.show();
    // The dialog itself and not a button: Space must scroll on, not accept.
    dialog.focus({ preventScroll: true });
  }
  addEventListener("keydown", onKey);
  return { close };
}

function build(config: Config, texts: PromptConfig, finish: (answer: Answer) => void): HTMLDialogElement {
  const name = config.name || config.site;
  const dialog = element("dialog", "dialog") as HTMLDialogElement;
  dialog.tabIndex = -1;
  if (!texts.title) dialog.lang = "en";
  dialog.dir = getComputedStyle(document.documentElement).direction;
  dialog.setAttribute("aria-labelledby", "title");
  dialog.setAttribute("aria-describedby", "body");

  const top = element("div", "", "top");
  const text = element("div", "", "text");
  text.append(
    element("h2", "title", "", texts.title || "Stay up to date"),
    element("p", "body", "", texts.body || `Get a notification when there is news from ${name}. You can stop at any time.`),
  );
  top.append(icon(config.icon), text);
  const buttons = element("div", "buttons", "buttons");
  const button = (id: string, label: string, result: Answer) => {
    const node = element("button", id, "", label) as HTMLButtonElement;
    node.type = "button";
    node.addEventListener("click", () => finish(result), { once: true });
    return node;
  };
  buttons.append(
    button("reject", texts.reject || "Not now", "reject"),
    button("accept", texts.accept || "Notify me", "accept"),
  );
  dialog.append(top, buttons);
  return dialog;
}

/** id doubles as part name for the site's ::part() rules. */
function element(tag: Tag, id: string, className = "", text = ""): HTMLElement {
  const node = document.createElement(tag);
  if (id) {
    node.id = id;
    node.part.add(id);
  }
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

/** The site's icon, or a bell while there is none or it does not load. */
function icon(url: string | undefined): Element {
  if (!url) return bell();
  const image = document.createElement("img");
  image.className = "icon";
  image.part.add("icon");
  image.alt = "";
  image.addEventListener("error", () => image.replaceWith(bell()), { once: true });
  image.src = url;
  return image;
}

function bell(): Element {
  const make = (tag: string, attributes: Record<string, string>) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const name in attributes) node.setAttribute(name, attributes[name]!);
    return node;
  };
  const svg = make("svg", { viewBox: "0 0 24 24", class: "icon", part: "icon", "aria-hidden": "true" });
  const group = make("g", {});
  group.append(
    make("path", { d: "M12 3a6 6 0 0 0-6 6c0 3.4-.8 5.3-1.6 6.4A1 1 0 0 0 5.2 17h13.6a1 1 0 0 0 .8-1.6C18.8 14.3 18 12.4 18 9a6 6 0 0 0-6-6Z" }),
    make("path", { d: "M10 20.5a2.3 2.3 0 0 0 4 0" }),
  );
  svg.append(group);
  return svg;
}

/** Colours come in through the CSSOM, which no CSP forbids, and only if they
 * are colours. The text colour depends on the accent as it came out, because
 * the site's style sheet may have the last word. */
function applyColours(dialog: HTMLDialogElement, { color, textColor }: PromptConfig): void {
  const valid = (value: string | undefined) => (value && CSS.supports("color", value) ? value : undefined);
  const resolve = (value: string) => {
    dialog.style.color = value;
    const resolved = getComputedStyle(dialog).color;
    dialog.style.color = "";
    return resolved;
  };
  const wanted = valid(textColor);
  if (valid(color)) dialog.style.setProperty("--own-color", color!);
  const text = textOn(resolve("var(--accent)"), wanted && resolve(wanted));
  dialog.style.setProperty("--on-accent", `var(--webpush-text-color, ${text})`);
}

/** Whether the focus is somewhere where keys make text, frames included: what
 * goes on in a frame cannot be seen. */
function isTyping(focused: Element | null): boolean {
  let node = focused;
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
  return (
    node instanceof HTMLElement &&
    (node.isContentEditable || /^(INPUT|TEXTAREA|SELECT|IFRAME)$/.test(node.tagName))
  );
}
