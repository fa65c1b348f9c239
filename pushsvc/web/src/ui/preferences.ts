// The visitor's own settings, inside an element of the page.

import type { Face } from "../shared/face";
import { box, topicBoxes } from "./boxes";
import { element } from "./elements";
import { keepClear, styledRoot } from "./floating";
import { direction } from "./language";
import { applyColours } from "./look";
import { named, type PanelParts } from "./panel";

/** Elements whose switch had the focus when they were emptied. The SDK fills them again
 * after each change, and the keyboard focus must stay. */
const focused = new WeakSet<HTMLElement>();

/** Fills host with a switch and the topics. Each change is an answer at once. The SDK then
 * fills the host again with the result. */
export function showPreferences(parts: PanelParts, host: HTMLElement): Face | undefined {
  const { options, texts } = parts;
  const root = styledRoot(host);
  if (!root) return undefined;
  const face = element("section", "preferences", "face inline");
  face.lang = parts.language;
  face.dir = direction(parts.language);
  face.setAttribute("aria-labelledby", "title");

  const { label, input } = box(named(parts, texts.receive), !!options.subscribed, "switch");
  label.id = "receive";
  label.part.add("receive");
  input.setAttribute("role", "switch");
  const topics = topicBoxes(options.topics, () => options.answered("accept", topics?.checked()));
  const enable = () => {
    if (topics) topics.element.hidden = !input.checked;
  };
  input.addEventListener("change", () => {
    enable();
    if (input.checked) options.answered("accept", topics?.checked());
    else options.answered("reject");
  });
  enable();
  face.append(element("h2", "title", "", texts.notifications), label, ...(topics ? [topics.element] : []));
  root.replaceChildren(face);
  applyColours(face, options);
  keepClear();
  if (focused.delete(host)) input.focus({ preventScroll: true });
  return {
    element: host,
    close() {
      if (root.activeElement === input) focused.add(host);
      face.remove();
    },
  };
}
