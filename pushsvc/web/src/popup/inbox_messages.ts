// The messages of the inbox. Pure functions.

import type { WirePopup } from "../shared/popup";

/** How many messages are kept, and for how long, in ms. */
const mostMessages = 15;
const longestTime = 30 * 86_400_000;

export interface Message {
  popup: WirePopup;
  /** When it arrived, ms since the epoch. */
  at: number;
  seen?: boolean;
  read?: boolean;
}

/** Reads the stored messages, newest first. It drops everything else: the page's scripts
 * can write there too. */
export function readMessages(text: string, now: number): Message[] {
  try {
    const list = JSON.parse(text) as (Message | null)[];
    const sound = list.filter((message) => typeof message?.popup?.id === "string" && !!message.popup.content && message.at > now - longestTime);
    return (sound as Message[]).slice(0, mostMessages);
  } catch {
    return [];
  }
}

/** Returns the list with a message in front. A message that is in the list already stays in
 * its place and as read as it was. */
export function withMessage(list: Message[], popup: WirePopup, now: number): Message[] {
  const known = list.find((message) => message.popup.id === popup.id);
  const { when: _when, caps: _caps, ...kept } = popup;
  const message = known ? { ...known, popup: kept } : { popup: kept, at: now };
  if (known) return list.map((other) => (other === known ? message : other));
  return [message, ...list].slice(0, mostMessages);
}
