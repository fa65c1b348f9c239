// The bell: a floating button that opens the question.

import type { Face } from "../shared/face";
import { bell, button } from "./elements";
import { floatingRoot, keepClear, openDialog } from "./floating";
import { direction } from "./language";
import { applyColours, followScheme } from "./look";
import { buildPanel, type Finish, type PanelParts } from "./panel";

/** Shows the bell. It opens the question, or help if notifications are blocked by then.
 * Escape in the question returns to the bell and is not an answer, because the visitor
 * opened it; Escape in help always does. */
export function showBell(parts: PanelParts): Face | undefined {
  const { options, texts } = parts;
  const root = floatingRoot();
  if (!root) return undefined;
  let closeDialog: (() => void) | undefined;
  const opener = button("bell", "", () => {
    const dialog =
      globalThis.Notification?.permission === "denied"
        ? buildPanel({ ...parts, options: { ...options, kind: "denied", texts: {} } }, closeQuestion)
        : buildPanel(parts, finish);
    root.append(dialog);
    applyColours(dialog, options);
    closeDialog = openDialog(root, dialog, closeQuestion);
    // After the focus has moved to the dialog.
    opener.hidden = true;
  });
  opener.className = "face";
  opener.dir = direction(parts.language);
  opener.setAttribute("aria-haspopup", "dialog");
  opener.setAttribute("aria-label", (opener.title = texts.notifications));
  if (!options.texts.title) opener.lang = parts.language;
  opener.append(bell());
  const stopScheme = followScheme(opener);
  root.append(opener);
  applyColours(opener, options);
  keepClear();

  const closeQuestion = () => {
    opener.hidden = false;
    const inside = root.activeElement;
    closeDialog?.();
    closeDialog = undefined;
    if (inside) opener.focus({ preventScroll: true });
  };
  const finish: Finish = (answer, topics) => {
    options.answered(answer, topics);
    face.close();
  };
  const face: Face = {
    element: root.host as HTMLElement,
    close() {
      closeDialog?.();
      closeDialog = undefined;
      stopScheme();
      root.host.remove();
    },
  };
  return face;
}
