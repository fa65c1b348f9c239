// What the page reports of the visitor: the lines of POST {prefix}/events other than the
// worker's. Member names are JSON names.

/** A value of an event or a profile. Lists and objects may be nested three levels deep. */
export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };

/** A change of one value of a profile. */
export interface ProfileOp {
  op: "incr" | "decr" | "set" | "add" | "remove" | "delete";
  key: string;
  value?: Value;
}

/** One identity of a person. The kinds are tried in this order. */
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

/** Body of POST {prefix}/events. It is sent again, unchanged, until the server has taken
 * it, and counts once. */
export interface Batch {
  /** 16 random bytes. */
  batch: string;
  /** The visit's id. */
  session: string;
  /** The page's 16 random bytes, from which the server makes the cookie if there is none
   * yet. */
  seed: string;
  /** ms: when it was sent this time. */
  sent: number;
  events: (Entry & { time: number })[];
}
