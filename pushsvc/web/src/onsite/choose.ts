// Whether a pop-up whose time has come is shown.

import type { WirePopup } from "../shared/popup";

export interface Standing {
  /** The pop-up that is open, and whether it was seen. */
  open?: { priority: number; seen: boolean };
  /** How often each was seen in this visit; under "" all that count. */
  shown: Record<string, number>;
  perSession?: number;
  /** CleverTap's: true replaces what is open, false never shows again what was
   * closed. Undefined where the page does not speak CleverTap. */
  dismissSpamControl?: boolean;
  /** What was closed, for false. */
  dismissed: string[];
}

export const isFree = (kind: string): boolean => kind === "inbox";

/** replace: the open one goes first. */
export function choose(popup: Pick<WirePopup, "id" | "kind" | "priority" | "caps">, at: Standing): "show" | "replace" | "drop" {
  const { open, shown } = at;
  const { session } = popup.caps ?? {};
  if (session && (shown[popup.id] ?? 0) >= session) return "drop";
  if (at.dismissSpamControl === false && at.dismissed.includes(popup.id)) return "drop";
  if (isFree(popup.kind)) return "show";
  if (at.perSession && (shown[""] ?? 0) >= at.perSession) return "drop";
  if (!open) return "show";
  if (!at.dismissSpamControl) return "drop";
  // Of those that come at the same time the most important stays.
  return open.seen || (popup.priority ?? 0) > open.priority ? "replace" : "drop";
}

/** The most important first, as the server sorts them. What a control group is
 * kept from is among the others: it would be shown before what is less important,
 * which is on display otherwise when its turn comes. */
export const byImportance = <T extends { popup: { id: string; priority?: number } }>(list: T[]): T[] =>
  list.sort(({ popup: a }, { popup: b }) => (b.priority ?? 0) - (a.priority ?? 0) || (a.id < b.id ? -1 : 1));
