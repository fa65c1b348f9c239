// popup-more.js: what only forms, custom HTML, images alone and the inbox need. popup.js
// loads it and passes the kit.

export { fillForm } from "./form";
export { fillHTML } from "./html";
export { fillInbox } from "./inbox";
export { fillImage } from "./image";
