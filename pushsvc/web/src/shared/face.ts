// The contract between the SDK, which decides, and ui.js, which shows.

import type { Topic } from "./wire";

/** What ui.js can show: the three kinds of the soft prompt, the iOS hint to add the site to
 * the home screen, help to unblock, the message that subscribing failed, and the visitor's
 * own settings. */
export type FaceKind = "dialog" | "bar" | "bell" | "ios" | "denied" | "failed" | "preferences";

/** How the visitor answered. */
export type Answer = "accept" | "reject" | "dismiss";

/** For a text that is missing or empty, the built-in one of `language` shows. */
export interface FaceTexts {
  title?: string;
  body?: string;
  accept?: string;
  reject?: string;
}

export interface FaceOptions {
  kind: FaceKind;
  texts: FaceTexts;
  /** Any CSS colour: fill of the accept button and of the bell. */
  color?: string;
  /** Any CSS colour: text on `color`. */
  textColor?: string;
  icon?: string;
  /** The site's name, for the built-in texts. */
  name?: string;
  /** BCP 47 tag of the page's language. */
  language: string;
  /** Accessible names of the buttons if they differ from their labels. */
  ariaAccept?: string;
  ariaReject?: string;
  /** Only with kind preferences: the element to fill. */
  host?: HTMLElement;
  /** Only with kind preferences: what the switch shows at first. */
  subscribed?: boolean;
  /** Check boxes in dialog, bar, bell and preferences. */
  topics?: Topic[];
  /** Runs synchronously in the visitor's click or key press, so that it may ask for
   * permission. With kind preferences it may run several times: accept switches on or
   * chooses other topics, reject switches off. topics: ids of the checked ones, with
   * accept, if there are topics. */
  answered(answer: Answer, topics?: string[]): void;
}

/** What show() returns. */
export interface Face {
  element: HTMLElement;
  /** Removes it without an answer. */
  close(): void;
}

/** ui.js as a module. show returns undefined if the engine lacks constructed style sheets. */
export interface UI {
  show(options: FaceOptions): Face | undefined;
}
