// Decides whether to show a pop-up whose time has come.

import type { WirePopup } from "../shared/popup";

export interface DisplayState {
  /** The open pop-up, and whether the visitor has seen it. */
  open?: { priority: number; seen: boolean };
  /** How often each pop-up was seen in this visit; "" counts all that have a limit. */
  shown: Record<string, number>;
  perSession?: number;
  /** CleverTap's setting: true replaces the open pop-up, false never again shows a closed
   * one. Undefined if the page does not use CleverTap's API. */
  dismissSpamControl?: boolean;
  /** Ids of closed pop-ups, for dismissSpamControl false. */
  dismissed: string[];
}

export const isFree = (kind: string): boolean => kind === "inbox";

/** Returns replace if the open pop-up has to close first. */
export function choose(popup: Pick<WirePopup, "id" | "kind" | "priority" | "caps">, at: DisplayState): "show" | "replace" | "drop" {
  const { open, shown } = at;
  const { session } = popup.caps ?? {};
  if (session && (shown[popup.id] ?? 0) >= session) return "drop";
  if (at.dismissSpamControl === false && at.dismissed.includes(popup.id)) return "drop";
  if (isFree(popup.kind)) return "show";
  if (at.perSession && (shown[""] ?? 0) >= at.perSession) return "drop";
  if (!open) return "show";
  if (!at.dismissSpamControl) return "drop";
  // If several come at the same time, the most important one stays.
  return open.seen || (popup.priority ?? 0) > open.priority ? "replace" : "drop";
}

/** Sorts by importance, as the server does. Pop-ups that the control group does not see
 * take part: each would show before a less important one, which here shows in its turn. */
export const byImportance = <T extends { popup: { id: string; priority?: number } }>(list: T[]): T[] =>
  list.sort(({ popup: a }, { popup: b }) => (b.priority ?? 0) - (a.priority ?? 0) || (a.id < b.id ? -1 : 1));
