// What to do with a batch, by the server's answer.

import { backoff, isTaken, isTransient } from "../shared/post";

/** taken: the server has it. refused: it never will. retired: the site no longer records.
 * later: try again. elsewhere: the answer is not our server's, or something stands before
 * the server; the next page tries again. */
export type BatchResult = "taken" | "refused" | "retired" | "later" | "elsewhere";

export function batchResult(status: number): BatchResult {
  if (isTaken(status)) return "taken";
  if (isTransient(status)) return "later";
  if (status === 410) return "retired";
  return [400, 411, 413, 414, 415, 422].includes(status) ? "refused" : "elsewhere";
}

/** Milliseconds until the next try on this page: as backoff, then growing up to five
 * minutes. */
export function pauseAfter(tries: number, retryAfter: string | null, random: number): number {
  return backoff(Math.min(tries, 5), retryAfter, random) * Math.min(Math.max(tries - 4, 1), 10);
}
