// popup-more.js: what only custom HTML and the inbox need. popup.js loads it, and
// hands over what both use.

export { fillHTML } from "./html";
export { fillInbox } from "./inbox";
