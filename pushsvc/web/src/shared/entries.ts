// What the page reports of the visitor: the lines of POST {prefix}/events that are
// not the worker's. Member names are JSON names.

/** A value that an event or a profile may have: flat ones, lists and objects down
 * to three levels. */
export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };

/** What changes one value of a profile. */
export interface ProfileOp {
  op: "incr" | "decr" | "set" | "add" | "remove" | "delete";
  key: string;
  value?: Value;
}

/** By what a person is known, in the order in which it is tried. */
export interface Identity {
  kind: "identity" | "email" | "gpid" | "fbid";
  value: string;
}

export type Entry =
  | { type: "event"; name: string; props?: Record<string, unknown> }
  | { type: "profile"; set?: Record<string, unknown>; ops?: ProfileOp[] }
  | { type: "login"; identities: Identity[]; set?: Record<string, unknown>; signature?: string }
  | { type: "logout" }
  | { type: "visit"; page: string; referrer?: string; utm?: UTM; time?: number }
  | { type: "optout"; value: boolean }
  | { type: "adopt"; device?: string; identities?: Identity[] }
  | {
      type: "popup";
      act: "viewed" | "clicked" | "closed" | "submitted" | "error";
      popup: string;
      variant?: string;
      token: string;
      element?: string;
    };

export interface UTM {
  source?: string;
  medium?: string;
  campaign?: string;
}

/** Body of POST {prefix}/events. It is sent again as it is until it was taken,
 * and counts once however often it comes. */
export interface Batch {
  /** 16 random bytes. */
  batch: string;
  /** The visit's. */
  session: string;
  /** The page's: 16 random bytes that make the cookie where there is none yet. */
  seed: string;
  /** ms: when it was sent, this time. */
  sent: number;
  events: (Entry & { time: number })[];
}
