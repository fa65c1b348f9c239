// A pop-up that consists of one image.

import { addStyles } from "./html";
import type { Kit } from "./kit";
import type { Stage } from "./stage";

/** Fills a stage with the image, and opens it when the image has loaded. */
export function fillImage({ control, image, name }: Kit, stage: Stage): void {
  addStyles(stage.root);
  const { element: dialog, options } = stage;
  const { popup } = options;
  const picture = image(stage, () => stage.fail("image"));
  if (!picture) {
    stage.fail("image");
    return;
  }
  const wanted = popup.click?.do;
  dialog.classList.add("out");
  if (wanted && wanted !== "none") {
    const whole = control(stage, "whole", popup.click, "image");
    whole.className = "whole";
    if (!picture.alt) whole.setAttribute("aria-label", options.site.name || location.hostname);
    whole.append(picture);
    dialog.append(whole);
  } else {
    dialog.append(picture);
  }
  dialog.append(stage.cross());
  name(stage);
  if (picture.complete && picture.naturalWidth) stage.open();
  else picture.addEventListener("load", () => stage.open());
}
