// What the page reports of the visitor: the lines of POST {prefix}/events other than the
// worker's. Member names are JSON names.

import type { EntryInput, RecordRequest, Report } from "./server";

export type { IdentityInput as Identity, Op as ProfileOp, PopupUTM as UTM } from "./server";

/** A value of an event or a profile. Lists and objects may be nested three levels deep. */
export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };

/** One thing that the page reports of its visitor. */
export type Entry = Exclude<EntryInput, Report>;

/** Body of POST {prefix}/events, as pages send it. It is sent again, unchanged, until the
 * server has taken it, and counts once. */
export interface Batch extends Required<RecordRequest> {
  events: (Entry & { time: number })[];
}
