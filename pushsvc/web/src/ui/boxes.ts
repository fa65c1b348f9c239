// Check boxes: the topics, and the switch of the visitor's own settings.

import type { Topic } from "../shared/wire";
import { element } from "./elements";

/** A check box with its label around it. */
export function box(text: string, checked: boolean, className = ""): { label: HTMLLabelElement; input: HTMLInputElement } {
  const label = element("label", "", className);
  const input = element("input");
  input.type = "checkbox";
  input.checked = checked;
  label.append(input, element("span", "", "", text));
  return { label, input };
}

/** One box per topic; undefined without topics. */
export function topicBoxes(topics: Topic[] | undefined, changed?: () => void) {
  if (!topics?.length) return undefined;
  const group = element("div", "topics");
  group.setAttribute("role", "group");
  group.setAttribute("aria-labelledby", "title");
  const boxes = topics.map(({ id, label: text, checked }) => {
    const { label, input } = box(text, !!checked);
    input.value = id;
    if (changed) input.addEventListener("change", changed);
    group.append(label);
    return input;
  });
  return { element: group, checked: () => boxes.filter((input) => input.checked).map((input) => input.value) };
}
