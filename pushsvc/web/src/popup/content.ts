// What stands in pop-ups with words: image, texts, form, buttons. Text nodes and
// checked attributes only.

import { webURL } from "../shared/address";
import { element } from "../ui/elements";
import { control } from "./action";
import { sign } from "./signs";
import type { Stage } from "./stage";

/** Fills a box, an interstitial, a corner or a banner. */
export function fillText(stage: Stage, banner: boolean): void {
  const { element: dialog, options } = stage;
  const picture = image(stage, () => dialog.classList.replace("over", "bare"));
  // Where no image of its own says whose it is, the site's icon does.
  const icon = picture ? undefined : siteIcon(options.site.icon);
  const small = banner ? picture ?? icon : dialog.matches(".corner, .interstitial") ? icon : undefined;
  const text = element("div", "text");
  const lead = element("div", "lead");
  const words = element("div");
  fillWords(stage, words);
  if (small) lead.append(small);
  lead.append(words);
  text.append(lead);
  const buttons = buildButtons(stage);
  if (buttons.childElementCount) text.append(buttons);
  if (picture && !banner) dialog.append(picture);
  dialog.classList.add(picture && !banner ? "over" : "bare");
  dialog.append(text, stage.cross());
}

/** Title and body; what a click on all of it does is a link in one of them. */
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

/** The dialog's accessible name. */
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

/** The image with its place reserved; undefined where there is none. broken runs
 * when it does not load, and it is gone then. */
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

/** The site's icon; gone if it does not load. */
function siteIcon(address: string | undefined): HTMLImageElement | undefined {
  const url = webURL(address);
  if (!url) return undefined;
  const icon = element("img", "icon");
  icon.alt = "";
  icon.addEventListener("error", () => icon.remove());
  icon.src = url;
  return icon;
}
