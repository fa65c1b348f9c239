// POST {prefix}/messages.

export type { MessagesAnswer, MessagesRequest, WireControl } from "./server";
