// Every item that our scripts keep in the visitor's browser. This table is the only list:
// storage.ts takes its names and values from it, and storage_keys.test.ts compares it with
// what the sources read and write, and with what an opt-out and a log-out leave.
//
// Names and values are in browsers already: do not rename them without a migration. The
// option `retire` removes all of them. An operator's erasure of a profile does not reach
// the browser: the items stay until a log-out, or until the visitor clears the site's data.

/** One item, stored as `webpush:<name>`. */
interface StorageKey {
  /** What it holds, and in which form. */
  holds: string;
  /** All values that it may have. Missing: any text. */
  values?: readonly string[];
  /** The files under src that write it. */
  writtenBy: readonly string[];
  /** What the visitor's opt-out (`webpush.privacy`, `clevertap.privacy`) does with it. */
  optOut: "kept" | "removed" | "written";
  /** What a log-out does with it (`webpush.logout`, `clevertap.logout`, `OneSignal.logout`).
   * unsubscribed: it goes with the subscription, if the browser has one. */
  logout: "kept" | "removed" | "written" | "unsubscribed";
}

/** Values of `webpush:out`. `clevertap.privacy.push({optOut: false})` ends only its own
 * opt-out: a visitor who unsubscribed in another way stays unsubscribed. */
export const outByVisitor = "1";
export const outByCleverTap = "ct";

/** In localStorage: outlives the visit. */
export const localKeys = {
  // The question and the subscription.
  asked: {
    holds: "ms: the last refusal or dismissal; under `compat clevertap`, when the prompt was last shown",
    writtenBy: ["compat/clevertap", "compat/storage", "onesignal/storage", "sdk/question"],
    optOut: "kept",
    logout: "kept",
  },
  refusals: { holds: "how many refusals and dismissals there were", writtenBy: ["sdk/question"], optOut: "kept", logout: "kept" },
  out: {
    holds: "the visitor unsubscribed, and by what: the prompt stays away",
    values: [outByVisitor, outByCleverTap],
    writtenBy: ["compat/clevertap", "compat/storage", "onesignal/storage", "sdk/sdk"],
    optOut: "kept",
    logout: "kept",
  },
  views: { holds: "page views on this origin", writtenBy: ["sdk/page"], optOut: "kept", logout: "kept" },
  sub: {
    holds: "JSON SubscriptionProof: the subscription that the server received last",
    writtenBy: ["sdk/subscription"],
    optOut: "kept",
    logout: "unsubscribed",
  },
  topics: { holds: "JSON string[]: ids of the topics that the visitor chose", writtenBy: ["sdk/topics"], optOut: "kept", logout: "unsubscribed" },
  worker: { holds: "path of the worker that the page names by `serviceWorkerPath`", writtenBy: ["compat/worker"], optOut: "kept", logout: "kept" },
  // The visit.
  visit: {
    holds: "when the visit began (ms), its first page and its referrer, separated by spaces; without queries once the server received it",
    writtenBy: ["sdk/visit", "track/sender"],
    optOut: "kept",
    logout: "kept",
  },
  session: { holds: "16 random bytes in base64url: the visit's id at the server", writtenBy: ["sdk/visit"], optOut: "kept", logout: "kept" },
  seen: { holds: "ms: the last page view or entry", writtenBy: ["sdk/visit"], optOut: "kept", logout: "kept" },
  before: { holds: "ms: the last page view or entry of the visit before this one", writtenBy: ["sdk/visit"], optOut: "kept", logout: "kept" },
  visits: { holds: "how many visits there were, this one included", writtenBy: ["sdk/visit"], optOut: "kept", logout: "kept" },
  told: { holds: "when the visit began (ms) that was recorded last", writtenBy: ["track/sender"], optOut: "kept", logout: "kept" },
  "queue:*": {
    holds: "a batch of entries that waits, as it is sent but for its end; * is its age and id",
    writtenBy: ["sdk/queue"],
    optOut: "removed",
    logout: "kept",
  },
  optout: { holds: "nothing is recorded, by the visitor's wish", values: ["1"], writtenBy: ["compat/storage", "sdk/sdk"], optOut: "written", logout: "kept" },
  // Pop-ups.
  shown: { holds: "JSON {id: count}: pop-ups seen in this visit; \"\" counts all that have a limit", writtenBy: ["onsite/runner"], optOut: "kept", logout: "kept" },
  dnd: { holds: "ids of the last 100 pop-ups that the visitor closed, separated by spaces", writtenBy: ["onsite/runner"], optOut: "kept", logout: "kept" },
  inbox: { holds: "JSON Message[] (popup/inbox_messages.ts)", writtenBy: ["popup/inbox"], optOut: "removed", logout: "removed" },
  owner: { holds: "checksums of the identities for whom the inbox was written, separated by spaces", writtenBy: ["sdk/owner"], optOut: "removed", logout: "removed" },
  // Other providers.
  adopted: { holds: "the other provider's storage was read", values: ["1"], writtenBy: ["compat/main", "onesignal/main", "sdk/adopt"], optOut: "kept", logout: "kept" },
  ct: { holds: "JSON KnownVisitor (compat/storage.ts): who the visitor was to the other provider", writtenBy: ["compat/storage", "onesignal/storage"], optOut: "kept", logout: "removed" },
  ctsent: { holds: "`webpush:ct` was recorded", values: ["1"], writtenBy: ["track/sender"], optOut: "kept", logout: "kept" },
  // `compat clevertap`.
  charged: { holds: "the last Charged ID", writtenBy: ["compat/clevertap"], optOut: "kept", logout: "kept" },
  ev: { holds: "JSON {name: [count, first, last]}, seconds: the events pushed here, for the getters", writtenBy: ["compat/people"], optOut: "kept", logout: "removed" },
  pr: { holds: "JSON: the profile as set here, for the getters", writtenBy: ["compat/people"], optOut: "kept", logout: "removed" },
  who: { holds: "checksum of the identities that are logged in", writtenBy: ["compat/people"], optOut: "kept", logout: "removed" },
  login: { holds: "checksum of the last login and its visit", writtenBy: ["compat/people"], optOut: "kept", logout: "removed" },
  cid: { holds: "the site's own id of this browser, as `_w_…`", writtenBy: ["compat/people"], optOut: "kept", logout: "removed" },
  stranger: { holds: "CleverTap's own copies are another person's", values: ["1"], writtenBy: ["compat/people"], optOut: "kept", logout: "written" },
  pages: { holds: "when the visit began (ms) and how many pages it has, separated by a space", writtenBy: ["compat/people"], optOut: "kept", logout: "kept" },
  geo: { holds: "ms, latitude, longitude: the browser's last answer, separated by spaces", writtenBy: ["compat/people"], optOut: "kept", logout: "kept" },
  // `compat onesignal`.
  os: { holds: "JSON StoredPerson (onesignal/storage.ts): ids, tags and consent", writtenBy: ["onesignal/storage"], optOut: "kept", logout: "written" },
  oslogin: { holds: "the external id that was recorded last, and when its visit began (ms)", writtenBy: ["onesignal/person"], optOut: "kept", logout: "removed" },
} as const satisfies Record<string, StorageKey>;

/** In sessionStorage: one tab session. */
export const sessionKeys = {
  since: { holds: "ms: the first page view", writtenBy: ["sdk/page"], optOut: "kept", logout: "kept" },
  synced: { holds: "endpoint, key and topics that the server received", writtenBy: ["sdk/subscription"], optOut: "kept", logout: "unsubscribed" },
  worker: { holds: "address of the worker that could be registered", writtenBy: ["sdk/worker"], optOut: "kept", logout: "kept" },
  trouble: { holds: "codes of the failures that were reported, separated by spaces", writtenBy: ["trouble/main"], optOut: "kept", logout: "kept" },
  debug: { holds: "`webpush.debug(true)` was called", values: ["1"], writtenBy: ["sdk/sdk"], optOut: "kept", logout: "kept" },
} as const satisfies Record<string, StorageKey>;

type ValuesOf<Table> = { [Name in keyof Table]: Table[Name] extends { values: readonly (infer Value)[] } ? Value : string };

/** The name of a batch that waits. */
export type BatchName = `queue:${string}`;

/** The values of localStorage by name. */
export type LocalValues = Omit<ValuesOf<typeof localKeys>, "queue:*"> & Record<BatchName, string>;

/** The values of sessionStorage by name. */
export type SessionValues = ValuesOf<typeof sessionKeys>;
