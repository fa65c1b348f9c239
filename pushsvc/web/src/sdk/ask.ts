import type { After, Config, PromptConfig } from "../shared/wire";

/** What is known about this visitor when the page has started. */
export interface Visitor {
  permission: NotificationPermission;
  subscribed: boolean;
  /** The visitor unsubscribed on this site. */
  out: boolean;
  /** A crawler, or the browser inside another app, where push does not work. */
  robot: boolean;
  /** Time of the last refusal or dismissal in ms, 0 for never. */
  asked: number;
  /** How many refusals and dismissals there were. */
  refusals: number;
  /** The browser sends Global Privacy Control or Do Not Track: nothing happens without an
   * act on this site. */
  private: boolean;
  now: number;
}

/** subscribe and sync need no question; ask shows the soft prompt. */
export type Step = "nothing" | "subscribe" | "sync" | "ask";

const week = 604_800;

/** Decides what the SDK does without a call by the page. Place and time (prompt.paths,
 * prompt.after) and support of push are the caller's to check. */
export function nextStep(visitor: Visitor, askAgain: PromptConfig["askAgain"] = week): Step {
  const { permission, subscribed, out, robot } = visitor;
  if (permission === "denied" || out) return "nothing";
  if (permission === "granted" && subscribed) return "sync";
  if (robot) return "nothing";
  if (permission === "granted" && !visitor.private) return "subscribe";
  return askedLately(visitor, askAgain) ? "nothing" : "ask";
}

/** Reports whether the bell shows although notifications are blocked: it then leads to help. */
export function bellHelps({ permission, out, robot }: Visitor, kind: PromptConfig["kind"]): boolean {
  return kind === "bell" && permission === "denied" && !out && !robot;
}

/** The distance is absolute: a time stamp from a clock that ran ahead must not silence the
 * prompt for years. */
function askedLately({ asked, refusals, now }: Visitor, askAgain: number | number[]): boolean {
  const list = Array.isArray(askAgain) ? askAgain : [askAgain];
  const seconds = list[Math.min(Math.max(refusals, 1), list.length) - 1] ?? week;
  return asked > 0 && Math.abs(now - asked) < seconds * 1000;
}

/** When the prompt shows without a call by the page: never on a visitor's first page unless
 * the site configures it, and never at all where the site's pages call CleverTap's API for
 * it. */
export function afterOf({ prompt, compat }: Config): After {
  return prompt?.after ?? (compat === "clevertap" ? { manual: true } : { pages: 2 });
}

/** Milliseconds until the prompt may show on this page, triggers aside; Infinity for never.
 * since: time of the first page view of this tab session. */
export function delayUntilAsk(after: After, views: number, since: number, now: number): number {
  if (after.manual || views < (after.pages ?? 0)) return Infinity;
  return Math.max(0, (after.seconds ?? 0) * 1000 - Math.max(0, now - since));
}
