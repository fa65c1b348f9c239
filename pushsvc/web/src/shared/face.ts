// The contract between the SDK, which decides, and ui.js, which shows.

import type { Topic } from "./wire";

/** What can be shown: the three kinds of the soft prompt, the hint for iOS to add
 * the site to the home screen, help to unblock, a word that it does not work now, and
 * the visitor's own settings. */
export type FaceKind = "dialog" | "bar" | "bell" | "ios" | "denied" | "failed" | "preferences";

/** How the visitor answered. */
export type Answer = "accept" | "reject" | "dismiss";

/** Texts that are missing or empty are the built-in ones of `language`. */
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
  /** Accessible names of the buttons where they differ from their labels. */
  ariaAccept?: string;
  ariaReject?: string;
  /** Only with kind preferences: the element to fill. */
  host?: HTMLElement;
  /** Only with kind preferences: what the switch shows at first. */
  subscribed?: boolean;
  /** Check boxes in dialog, bar, bell and preferences. */
  topics?: Topic[];
  /** Called synchronously in the visitor's click or key press, so that it may ask
   * for permission. With kind preferences it may be called again and again:
   * accept switches on or chooses other topics, reject switches off. topics are
   * the ids of those that are checked, with accept and where there are any. */
  answered(answer: Answer, topics?: string[]): void;
}

/** What show() gave. */
export interface Face {
  element: HTMLElement;
  /** Takes it away without an answer. */
  close(): void;
}

/** ui.js as a module. show gives undefined where the engine lacks what it takes
 * (constructed style sheets). */
export interface UI {
  show(options: FaceOptions): Face | undefined;
}
