// A page's request for pop-ups: POST {prefix}/messages. The path is older than the name: pages that
// are open know it.

export type { PopupsAnswer, PopupsRequest, WireControl } from "./server";
