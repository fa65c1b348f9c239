// ui.js: everything that the visitor sees of us in the page except pop-ups. The SDK loads
// it when it has something to show.

import type { Face, FaceOptions } from "../shared/face";
import { showBell } from "./bell";
import { floatingRoot, openDialog } from "./floating";
import { chooseLanguage } from "./language";
import { applyColours } from "./look";
import { buildPanel, type Finish, type PanelParts } from "./panel";
import { showPreferences } from "./preferences";
import { others, readTexts } from "./texts_english";

const languages = ["en", ...others];
const choose = (tag: string): string => chooseLanguage([tag, ...navigator.languages], languages);

/** The texts besides English. They load before the module runs, so that show need not wait.
 * Without them everything is in English. */
const texts = await loadTexts().catch(() => ({}) as Record<string, string>);

async function loadTexts(): Promise<Record<string, string>> {
  if (choose(document.documentElement.lang) === "en") return {};
  // Our own address has the version in its query. In a variable, because the build would
  // resolve a literal.
  const address = "./texts.js" + new URL(import.meta.url).search;
  return ((await import(address)) as { default: Record<string, string> }).default;
}

/** Shows a face. Returns undefined if the engine lacks constructed style sheets, or for
 * preferences without an element to fill. */
export function show(options: FaceOptions): Face | undefined {
  const wanted = choose(options.language);
  const language = texts[wanted] ? wanted : "en";
  const parts: PanelParts = { options, language, texts: readTexts(texts[language]) };
  if (options.kind === "preferences") return options.host && showPreferences(parts, options.host);
  return options.kind === "bell" ? showBell(parts) : showPanel(parts);
}

function showPanel(parts: PanelParts): Face | undefined {
  const { options } = parts;
  const root = floatingRoot();
  if (!root) return undefined;
  const finish: Finish = (answer, topics) => {
    options.answered(answer, topics);
    face.close();
  };
  const dialog = buildPanel(parts, finish);
  if (options.kind === "bar" && getComputedStyle(root.host).getPropertyValue("--webpush-bar").trim() === "top") {
    root.host.classList.add("above");
  }
  root.append(dialog);
  applyColours(dialog, options);
  // A message that the visitor does not expect now is announced, and takes no focus.
  const quiet = options.kind === "failed";
  if (quiet) dialog.role = "status";
  const closeDialog = openDialog(root, dialog, () => finish("dismiss"), quiet);
  const face: Face = {
    element: root.host as HTMLElement,
    close() {
      closeDialog();
      root.host.remove();
    },
  };
  return face;
}
