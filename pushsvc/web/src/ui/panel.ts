// What the dialogs contain: the question, the hint, the help.

import type { Answer, FaceOptions } from "../shared/face";
import { button, element, mutedBell, shareSign, siteIcon } from "./elements";
import { placeOf, unblockSteps } from "./help";
import { direction, fill } from "./language";
import { topicBoxes } from "./boxes";
import type { Texts } from "./texts_english";

/** What a panel is made from. */
export interface PanelParts {
  options: FaceOptions;
  texts: Texts;
  /** Language of texts. */
  language: string;
}

/** Receives an answer, synchronously in the visitor's click. */
export type Finish = (answer: Answer, topics?: string[]) => void;

/** Builds a closed dialog. */
export function buildPanel(parts: PanelParts, finish: Finish): HTMLDialogElement {
  const { options, texts } = parts;
  switch (options.kind) {
    case "ios":
      return steps(parts, siteIcon(options.icon), texts.add, texts.addBody, iosSteps(parts), finish);
    case "denied":
      return steps(parts, mutedBell(), texts.blocked, texts.blockedBody, deniedSteps(parts), finish);
    case "failed":
      return steps(parts, mutedBell(), texts.notifications, "", [], finish);
    default:
      return question(parts, finish);
  }
}

/** Puts the site's names into a text. */
export function named({ options, texts }: PanelParts, text: string): string {
  return fill(text, { n: options.name || location.hostname, s: location.host, a: texts.add });
}

function question(parts: PanelParts, finish: Finish): HTMLDialogElement {
  const { options, texts } = parts;
  const siteTexts = options.texts;
  const dialog = frame(parts, siteIcon(options.icon), siteTexts.title || texts.title, siteTexts.body || named(parts, texts.body), !siteTexts.title);
  if (options.kind === "bar") dialog.classList.add("bar");
  const topics = topicBoxes(options.topics);
  if (topics) dialog.append(topics.element);
  const answer = (id: "accept" | "reject", label: string | undefined, spoken: string | undefined) => {
    const node = button(id, label || texts[id], () => (id === "accept" ? finish(id, topics?.checked()) : finish(id)));
    if (spoken) node.setAttribute("aria-label", spoken);
    return node;
  };
  const buttons = element("div", "buttons", "buttons");
  buttons.append(
    answer("reject", siteTexts.reject, options.ariaReject),
    answer("accept", siteTexts.accept, options.ariaAccept),
  );
  dialog.append(buttons);
  return dialog;
}

/** A dialog with title and body. ours: they are our texts, in our language. */
function frame(parts: PanelParts, icon: Element, title: string, body: string, ours: boolean): HTMLDialogElement {
  const dialog = element("dialog", "dialog", "face");
  dialog.tabIndex = -1;
  dialog.autofocus = true;
  if (ours) dialog.lang = parts.language;
  dialog.dir = ours ? direction(parts.language) : getComputedStyle(document.documentElement).direction;
  dialog.setAttribute("aria-labelledby", "title");
  dialog.setAttribute("aria-describedby", "body");
  const top = element("div", "", "top");
  const text = element("div", "", "text");
  text.append(element("h2", "title", "", title), element("p", "body", "", body));
  top.append(icon, text);
  dialog.append(top);
  return dialog;
}

function steps(
  parts: PanelParts,
  icon: Element,
  title: string,
  body: string,
  items: (Node | string)[][],
  finish: Finish,
): HTMLDialogElement {
  const siteTexts = parts.options.texts;
  const dialog = frame(parts, icon, siteTexts.title || title, siteTexts.body || named(parts, body), !siteTexts.title);
  const list = element("ol", "steps");
  for (const item of items) {
    const line = element("li");
    const text = element("span");
    text.append(...item);
    line.append(text);
    list.append(line);
  }
  const buttons = element("div", "buttons", "buttons");
  buttons.append(button("close", siteTexts.reject || parts.texts.close, () => finish("dismiss")));
  dialog.append(...(items.length ? [list, buttons] : [buttons]));
  return dialog;
}

function iosSteps(parts: PanelParts): (Node | string)[][] {
  const { share, choose, start } = parts.texts;
  return [[named(parts, share), " ", shareSign()], [named(parts, choose)], [named(parts, start)]];
}

function deniedSteps(parts: PanelParts): string[][] {
  const place = placeOf(navigator.userAgent, navigator.maxTouchPoints);
  const name = parts.options.name || location.hostname;
  return unblockSteps(place, parts.texts, name).map((step) => [named(parts, step)]);
}
