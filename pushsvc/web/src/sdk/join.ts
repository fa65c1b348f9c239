// join.js: what makes and ends a subscription, for those who have one or are about
// to. Most pages are of neither.

export { alone } from "./alone";
export { connect, disconnect, revoke } from "./subscription";
export { tryWorker } from "./worker";
