// The content of pop-ups with words: image, texts, form, buttons. It consists of text nodes
// and checked attributes.

import { webURL } from "../shared/address";
import { element } from "../ui/elements";
import { control } from "./action";
import { sign } from "./signs";
import type { Stage } from "./stage";

/** Fills a box, an interstitial, a corner or a banner. */
export function fillText(stage: Stage, banner: boolean): void {
  const { element: dialog, options } = stage;
  const picture = image(stage, () => dialog.classList.replace("over", "bare"));
  // Without an image the site's icon shows whose pop-up it is.
  const icon = picture ? undefined : siteIcon(options.site.icon);
  const small = banner ? picture ?? icon : dialog.matches(".corner, .interstitial") ? icon : undefined;
  const text = element("div", "text");
  const introduction = element("div", "lead");
  const words = element("div");
  fillWords(stage, words);
  if (small) introduction.append(small);
  introduction.append(words);
  text.append(introduction);
  const buttons = buildButtons(stage);
  if (buttons.childElementCount) text.append(buttons);
  if (picture && !banner) dialog.append(picture);
  dialog.classList.add(picture && !banner ? "over" : "bare");
  dialog.append(text, stage.cross());
}

/** Adds title and body. A click on the whole pop-up is one link in either of them. */
function fillWords(stage: Stage, words: HTMLElement): void {
  const { popup } = stage.options;
  const { title, body } = popup.content;
  const wanted = popup.click?.do;
  let whole = wanted && wanted !== "none" ? control(stage, "whole", popup.click, "body") : undefined;
  const put = (node: HTMLElement, text: string) => {
    if (whole) {
      whole.className = "whole";
      whole.textContent = text;
      node.append(whole);
      whole = undefined;
    } else {
      node.textContent = text;
    }
    words.append(node);
  };
  if (title) put(element("h2", "title"), title);
  if (body) put(element("p", "body"), body);
  name(stage);
}

/** Sets the dialog's accessible name. */
export function name({ element: dialog, options }: Stage): void {
  const { title, body, imageAlt } = options.popup.content;
  if (title) {
    dialog.setAttribute("aria-labelledby", "title");
    if (body) dialog.setAttribute("aria-describedby", "body");
  } else {
    dialog.setAttribute("aria-label", body || imageAlt || options.site.name || location.hostname);
  }
}

function buildButtons(stage: Stage): HTMLElement {
  const row = element("div", "buttons");
  const { content } = stage.options.popup;
  for (const [index, { id, text, action }] of (content.buttons ?? []).slice(0, 3).entries()) {
    const node = control(stage, "button-" + (index + 1), action, id);
    node.part.add("button");
    node.className = "button" + (index || content.input ? "" : " main");
    node.append(text);
    if (action?.do === "copy") {
      node.className = "button coupon";
      node.append(sign("copy"));
    }
    row.append(node);
  }
  return row;
}

/** Returns the image with its place reserved; undefined without one. If it does not load,
 * it is removed and broken runs. */
export function image({ options }: Stage, broken: () => void): HTMLImageElement | undefined {
  const { image: address, imageAlt, imageWidth, imageHeight } = options.popup.content;
  const url = webURL(address);
  if (!url) return undefined;
  const picture = element("img", "image");
  picture.alt = imageAlt ?? "";
  if (imageWidth! > 0 && imageHeight! > 0) picture.style.aspectRatio = `${imageWidth} / ${imageHeight}`;
  picture.addEventListener("error", () => {
    picture.remove();
    broken();
  });
  picture.src = url;
  return picture;
}

/** Returns the site's icon, which removes itself if it does not load. */
function siteIcon(address: string | undefined): HTMLImageElement | undefined {
  const url = webURL(address);
  if (!url) return undefined;
  const icon = element("img", "icon");
  icon.alt = "";
  icon.addEventListener("error", () => icon.remove());
  icon.src = url;
  return icon;
}
