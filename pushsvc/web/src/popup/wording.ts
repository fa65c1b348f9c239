// The few built-in words: their order, and the English ones.

const order = ["close", "send", "thanks", "copied", "email", "required", "choose", "messages", "unread", "readAll", "none"] as const;

export type Words = Record<(typeof order)[number], string>;

const english =
  "Close|Send|Thank you!|Copied|Please enter a valid email address.|Please fill in this field.|Please choose an answer.|Messages|{n} unread|Mark all as read|No messages";

/** Reads a line of words.ts; without one, the English words. */
export function wording(line = english): Words {
  const words = line.split("|");
  return Object.fromEntries(order.map((key, index) => [key, words[index]])) as Words;
}
