// The few built-in texts: their order, and the English ones.

const order = ["close", "send", "thanks", "copied", "email", "required", "choose", "messages", "unread", "readAll", "none"] as const;

export type Texts = Record<(typeof order)[number], string>;

const english =
  "Close|Send|Thank you!|Copied|Please enter a valid email address.|Please fill in this field.|Please choose an answer.|Messages|{n} unread|Mark all as read|No messages";

/** Reads a line of texts.ts; without one, the English texts. */
export function readTexts(line = english): Texts {
  const texts = line.split("|");
  return Object.fromEntries(order.map((key, index) => [key, texts[index]])) as Texts;
}
