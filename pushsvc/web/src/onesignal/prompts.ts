// What OneSignal's init says about when and how to ask. Pure functions.

import type { PromptOptions } from "../sdk/api";
import type { After, PromptConfig } from "../shared/wire";

type Loose = Record<string, any>;

const object = (value: unknown): Loose => (typeof value === "object" && value !== null ? (value as Loose) : {});
const text = (...values: unknown[]): string | undefined =>
  values.find((value): value is string => typeof value === "string" && value !== "");
const count = (value: unknown, otherwise: number): number => (Number(value) >= 0 && value != null ? Number(value) : otherwise);

/** The push prompts in init's options. v16 has a list, v15 had one, and older pages have
 * its members beside the other options. */
function pushPrompts(options: Loose): { listed: Loose[]; native: Loose; slidedown: Loose; outer: Loose } {
  const outer = object(options.promptOptions);
  const slidedown = object(outer.slidedown);
  const all: unknown[] = Array.isArray(slidedown.prompts) ? slidedown.prompts : [];
  const listed = all.map(object).filter(({ type }) => type === "push" || type === "category");
  return { listed, native: object(outer.native), slidedown, outer };
}

/** The given texts of the question. OneSignal has one sentence and two buttons. */
export function promptTexts(given: unknown): Pick<PromptOptions, "body" | "accept" | "reject"> {
  const { listed, slidedown, outer } = pushPrompts(object(given));
  const texts = object(listed[0]?.text);
  const all = {
    body: text(texts.actionMessage, slidedown.actionMessage, outer.actionMessage),
    accept: text(texts.acceptButton, slidedown.acceptButtonText, outer.acceptButtonText),
    reject: text(texts.cancelButton, slidedown.cancelButtonText, outer.cancelButtonText),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value));
}

/** OneSignal's own delay before an automatic prompt. */
const delays = { pages: 1, seconds: 10 };

/** What the page's init decides about the automatic prompt; empty if it leaves that to the
 * site's settings. */
export function promptPlan(given: unknown): Pick<PromptConfig, "after" | "kind"> {
  const options = object(given);
  const { listed, native, slidedown } = pushPrompts(options);
  const all = [...listed, slidedown, native];
  const auto = all.find(({ autoPrompt, enabled }) => autoPrompt === true && enabled !== false);
  if (auto) {
    const delay = { ...auto, ...object(auto.delay) };
    const after: After = { pages: count(delay.pageViews, delays.pages), seconds: count(delay.timeDelay, delays.seconds) };
    return { after };
  }
  if (options.autoRegister === true) return { after: {} };
  if (object(options.notifyButton).enable === true) return { kind: "bell", after: {} };
  const configured = listed.length > 0 || all.some(({ autoPrompt, enabled }) => autoPrompt === false || enabled !== undefined);
  return configured || options.autoRegister === false ? { after: { manual: true } } : {};
}

/** Reports whether a call asks although the visitor was asked lately. */
export const forced = (options: unknown): boolean =>
  object(options).force === true || object(object(options).slidedownPromptOptions).force === true;
