// CleverTap's functions of the inbox. Until the bell is on the page, those of compat.js
// answer that there are no messages.

import type { Message } from "./inbox_messages";

/** The bell, as far as they need it. */
export interface Inbox {
  readonly messages: Message[];
  /** Replaces the messages. */
  change(list: Message[]): void;
  /** Opens the list, or closes it. */
  toggle(): void;
}

/** A message in CleverTap's form; date in seconds since the epoch. */
const shape = ({ popup: { id, legacy, content }, at, read }: Message) => ({
  id,
  wzrk_id: legacy?.msgId ?? id,
  viewed: read ? 1 : 0,
  date: Math.floor(at / 1000),
  msg: [{ title: content.title, description: content.body, imageUrl: content.image }],
  kv: content.kv,
});

/** The functions by name. Ids are those of pop-ups. */
export function inboxFunctions(inbox: Inbox): Record<string, (...args: never[]) => unknown> {
  const unread = () => inbox.messages.filter(({ read }) => !read);
  const byId = (list: Message[]) => Object.fromEntries(list.map((message) => [message.popup.id, shape(message)]));
  const find = (id: unknown) => inbox.messages.find(({ popup }) => popup.id === id);
  const read = (wanted: (id: string) => boolean) => {
    const { messages } = inbox;
    for (const message of messages) if (wanted(message.popup.id)) message.read = true;
    inbox.change(messages);
  };
  return {
    getInboxMessageCount: () => inbox.messages.length,
    getInboxMessageUnreadCount: () => unread().length,
    getAllInboxMessages: () => byId(inbox.messages),
    getUnreadInboxMessages: () => byId(unread()),
    getInboxMessageForId: (id: unknown) => {
      const message = find(id);
      return message && shape(message);
    },
    deleteInboxMessage: (id: unknown) => find(id) && inbox.change(inbox.messages.filter(({ popup }) => popup.id !== id)),
    markReadInboxMessage: (id: unknown) => read((messageId) => messageId === id),
    markReadInboxMessagesForIds: (ids: unknown) => read((messageId) => Array.isArray(ids) && ids.includes(messageId)),
    markReadAllInboxMessage: () => read(() => true),
    toggleInbox: () => inbox.toggle(),
  };
}
