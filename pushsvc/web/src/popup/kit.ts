// What popup.js hands to popup-more.js, so that neither file has the other's code.

import { ownURL, webURL } from "../shared/address";
import { button, element } from "../ui/elements";
import { control, feedbackTime, perform } from "./action";
import { image, name } from "./content";
import { sign } from "./signs";
import { dress, newRoot, Stage } from "./stage";

export const kit = { button, control, dress, element, feedbackTime, image, name, newRoot, ownURL, perform, sign, webURL, Stage };
export type Kit = typeof kit;
