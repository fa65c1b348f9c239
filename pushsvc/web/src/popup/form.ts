// One question: an e-mail address, a line of text, or a choice.

import type { PopupInput } from "../shared/popup";
import { addStyles } from "./html";
import type { Kit } from "./kit";
import type { Stage } from "./stage";

/** The longest answer, in UTF-16 code units. */
const longestAnswer = 500;

/** Puts the question before the buttons. */
export function fillForm(kit: Kit, stage: Stage, input: PopupInput): void {
  addStyles(stage.root);
  const { element } = kit;
  const form = element("form", "form", input.kind);
  // Our messages are in the page's language, unlike the browser's bubbles.
  form.noValidate = true;
  const problem = element("p", "problem");
  problem.setAttribute("role", "alert");
  problem.hidden = true;
  const send = element("button", "submit", "button main", input.submit || stage.texts.send);
  send.type = "submit";
  const fields = input.kind === "choice" ? choice(kit, form, input, send) : line(kit, form, input, send);
  form.append(problem);
  const name = input.event || "answer";
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = answerOf(fields);
    const wrong = problemOf(stage, input, fields, value);
    for (const field of fields) {
      field.setAttribute("aria-invalid", String(!!wrong));
      field.setAttribute("aria-describedby", "problem");
    }
    problem.hidden = !wrong;
    problem.textContent = wrong;
    if (wrong) {
      fields[0]?.focus();
      return;
    }
    stage.options.act({ act: "submitted", element: name, value }, stage.options.popup);
    thank(kit, stage, form);
  });
  stage.root.querySelector("#lead")!.after(form);
}

/** Shows that the answer was taken, and closes a while later. */
function thank({ element, feedbackTime }: Kit, stage: Stage, form: HTMLElement): void {
  const thanks = element("p", "thanks", "thanks", stage.texts.thanks);
  thanks.tabIndex = -1;
  thanks.setAttribute("role", "status");
  stage.root.querySelector("#buttons")?.remove();
  form.replaceWith(thanks);
  thanks.focus({ preventScroll: true });
  setTimeout(() => stage.finish("action"), feedbackTime);
}

function line({ element }: Kit, form: HTMLFormElement, input: PopupInput, send: HTMLElement): HTMLInputElement[] {
  const label = element("label", "label", "label", input.label);
  label.htmlFor = "answer";
  const field = element("input", "answer");
  field.type = input.kind;
  field.maxLength = longestAnswer;
  field.required = true;
  if (input.kind === "email") {
    field.autocomplete = "email";
    field.name = "email";
  }
  const row = element("div", "", "row");
  row.append(field, send);
  form.append(label, row);
  return [field];
}

function choice({ element }: Kit, form: HTMLFormElement, input: PopupInput, send: HTMLElement): HTMLInputElement[] {
  const group = element("fieldset", "answer-group");
  group.append(element("legend", "label", "label", input.label));
  const fields = (input.options ?? []).map((text) => {
    const label = element("label", "", "option");
    const field = element("input");
    field.type = "radio";
    field.name = "answer";
    field.required = true;
    field.value = text;
    label.append(field, element("span", "", "", text));
    group.append(label);
    return field;
  });
  form.append(group, send);
  return fields;
}

function answerOf(fields: HTMLInputElement[]): string {
  const field = fields.find((field) => field.type !== "radio" || field.checked);
  return (field?.value ?? "").trim().slice(0, longestAnswer);
}

/** Returns what is wrong with the answer; "" for a valid one. */
function problemOf({ texts }: Stage, { kind }: PopupInput, fields: HTMLInputElement[], value: string): string {
  if (!value) return kind === "choice" ? texts.choose : texts.required;
  return kind === "email" && !fields[0]!.validity.valid ? texts.email : "";
}
