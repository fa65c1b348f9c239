// popup.js: shows pop-ups. onsite.js loads it when there is one to show.

import type { PopupFace, PopupHost, PopupOptions, WirePopup } from "../shared/popup";
import { chooseLanguage } from "../ui/language";
import { others } from "../ui/texts_english";
import { fillText } from "./content";
import { kit } from "./kit";
import { newRoot, Stage } from "./stage";
import { readTexts, type Texts } from "./texts_english";
import type * as More from "./more";

const languages = ["en", ...others];
const choose = (tag: string): string => chooseLanguage([tag, ...navigator.languages], languages);

/** The texts besides English. They load before the module runs, so that show need not wait.
 * Without them everything is in English. */
const lines = await loadWords().catch(() => ({}) as Record<string, string>);

async function loadWords(): Promise<Record<string, string>> {
  if (choose(document.documentElement.lang) === "en") return {};
  return (await load<{ default: Record<string, string> }>("popup-words.js")).default;
}

/** Loads another of our modules. Our own address has the version in its query. */
function load<T>(name: string): Promise<T> {
  // In a variable, because the build would resolve a literal.
  const address = "./" + name + new URL(import.meta.url).search;
  return import(address) as Promise<T>;
}

const more = () => load<typeof More>("popup-more.js");

function textsOf(language: string): Texts {
  return readTexts(lines[choose(language)]);
}

/** Shows a pop-up, see Popups. */
export function show(options: PopupOptions): PopupFace | undefined {
  const { popup } = options;
  const texts = textsOf(options.language);
  if (popup.kind === "custom") return undefined;
  if (popup.kind === "inbox") return showInbox(options, popup);
  const root = newRoot("");
  if (!root) return undefined;
  const layout = layoutOf(options);
  const stage = new Stage(root, options, texts, layout, isModal(options, layout));
  fill(stage, layout);
  // A site that uses CleverTap's API may wait for CleverTap's event.
  if ("clevertap" in window) document.dispatchEvent(new Event("CT_campaign_rendered"));
  return stage;
}

/** Shows the messages that earlier pages have kept, see Popups. */
export function inbox(host: PopupHost): PopupFace | undefined {
  return showInbox(host);
}

/** The one bell of a page. Its host is on the page before popup-more.js has loaded. */
let bell: { root: ShadowRoot; face: PopupFace } | undefined;

function showInbox(host: PopupHost, popup?: WirePopup): PopupFace | undefined {
  if (!bell?.root.host.isConnected) {
    const root = newRoot("webpush-inbox");
    if (!root) return undefined;
    const element = root.host as HTMLElement;
    bell = { root, face: { element, close: () => element.remove() } };
  }
  const { root, face } = bell;
  more().then(({ fillInbox }) => root.host.isConnected && fillInbox(kit, root, host, textsOf(host.language), popup), face.close);
  return face;
}

function fill(stage: Stage, layout: string): void {
  const { kind, content: { input } } = stage.options.popup;
  switch (kind) {
    case "html":
      more().then(({ fillHTML }) => fillHTML(kit, stage), () => stage.fail("frame"));
      return;
    case "image":
      more().then(({ fillImage }) => fillImage(kit, stage), () => stage.fail("image"));
      return;
    default:
      fillText(stage, layout.startsWith("banner"));
      if (!input) stage.open();
      else more().then(({ fillForm }) => (fillForm(kit, stage, input), stage.open()), () => stage.fail("form"));
  }
}

/** Returns the classes of the dialog. */
function layoutOf({ popup: { kind, position } }: PopupOptions): string {
  const edge = position === "top" || position === "bottom" ? position : undefined;
  const corner = /^(bottom|top)-(left|right)$/.test(position ?? "") ? position : undefined;
  switch (kind) {
    case "banner":
      return "banner " + (edge ?? "bottom");
    case "corner":
      return "corner " + (corner ?? "bottom-right");
    case "image":
      return "picture box";
    case "html":
      if (edge) return "html banner " + edge;
      if (corner) return "html corner " + corner;
      return position === "full" ? "html interstitial" : "html box";
    default:
      return kind;
  }
}

/** Reports whether the pop-up blocks the page. Corner and banner never do; the others do
 * unless their overlay is switched off. A full view always does. */
function isModal({ popup }: PopupOptions, layout: string): boolean {
  if (/corner|banner/.test(layout)) return false;
  return layout.includes("interstitial") || popup.theme?.overlay !== 0;
}
