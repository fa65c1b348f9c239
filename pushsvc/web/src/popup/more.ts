// popup-more.js: what only forms, custom HTML and the inbox need. popup.js loads it, and
// hands over what they share.

export { fillForm } from "./form";
export { fillHTML } from "./html";
export { fillInbox } from "./inbox";
export { fillImage } from "./image";
