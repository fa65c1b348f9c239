import type { PromptConfig } from "../shared/wire";

/** What is known about this visitor when the page has come to rest. */
export interface Visitor {
  permission: NotificationPermission;
  subscribed: boolean;
  /** Unsubscribed on this site by own wish. */
  out: boolean;
  /** Time of the last refusal or dismissal in ms, 0 for never. */
  asked: number;
  /** Sends Global Privacy Control: nothing without an act on this site. */
  private: boolean;
  now: number;
}

/** subscribe and sync need no question; ask shows the soft prompt. */
export type Step = "nothing" | "subscribe" | "sync" | "ask";

const week = 604_800;

/** Decides what the SDK does by itself, the triggers of prompt.after aside. */
export function nextStep(visitor: Visitor, askAgain: number = week): Step {
  if (visitor.permission === "denied" || visitor.out) return "nothing";
  if (visitor.permission === "granted") {
    if (visitor.subscribed) return "sync";
    if (!visitor.private) return "subscribe";
  }
  return askedLately(visitor, askAgain) ? "nothing" : "ask";
}

/** The distance is absolute: a stamp from a clock that ran ahead must not
 * silence the prompt for years. */
function askedLately({ asked, now }: Visitor, askAgain: number): boolean {
  return asked > 0 && Math.abs(now - asked) < askAgain * 1000;
}

/** Milliseconds until the prompt may show by itself, Infinity for not on this
 * page. since is the time of the first page view of this tab session. */
export function delayUntilAsk(prompt: PromptConfig, views: number, since: number, now: number): number {
  const after = prompt.after ?? {};
  if (after.manual || views < (after.pages ?? 0)) return Infinity;
  return Math.max(0, (after.seconds ?? 0) * 1000 - Math.max(0, now - since));
}
