// What OneSignal left in this browser, and what we keep here of the visitor.

import type { Memory } from "../sdk/storage";
import { type LocalValues, outByVisitor } from "../sdk/storage_keys";

/** Stored as JSON in `webpush:os`. */
export interface StoredPerson {
  /** The id of the subscription that pages and the site's server use. */
  id?: string;
  onesignalId?: string;
  externalId?: string;
  tags?: Record<string, string>;
  language?: string;
  /** Consent is required; consent was given. */
  required?: boolean;
  given?: boolean;
  /** Unique outcomes that were recorded. */
  outcomes?: string[];
}

export function storedPerson(local: Memory<LocalValues>): StoredPerson {
  try {
    return JSON.parse(local.get("os")) ?? {};
  } catch {
    return {};
  }
}

export function storePerson(local: Memory<LocalValues>, change: StoredPerson): void {
  local.set("os", JSON.stringify({ ...storedPerson(local), ...change }));
}

type Rows = Record<string, Record<string, any>[]>;

const text = (value: unknown): string | undefined => (typeof value === "string" && value ? value.slice(0, 256) : undefined);

/** Reads the tables of OneSignal's database: Ids and Options of v15; identity, properties
 * and subscriptions of v16 too. */
export function knownVisitor({ Ids = [], Options = [], identity = [], properties = [], subscriptions = [] }: Rows): StoredPerson & { out: boolean } {
  const id = (type: string) => Ids.find((row) => row.type === type)?.id;
  const option = (key: string) => Options.find((row) => row.key === key)?.value;
  const push = subscriptions.find(({ type }) => !/^(Email|SMS)$/i.test(String(type)));
  const tags = Object.entries(properties[0]?.tags ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  const found: StoredPerson = {
    id: text(push?.id) ?? text(id("userId")),
    onesignalId: text(identity[0]?.onesignal_id) ?? text(identity[0]?.onesignalId),
    externalId: text(identity[0]?.external_id) ?? text(identity[0]?.externalId) ?? text(id("externalUserId")),
    tags: tags.length ? Object.fromEntries(tags) : undefined,
  };
  const out = option("optedOut") ?? (option("subscription") == null ? false : !option("subscription"));
  return { ...(JSON.parse(JSON.stringify(found)) as StoredPerson), out: out === true };
}

/** Reads all rows of OneSignal's database; resolves to {} without one, and does not create
 * it. */
export function readDatabase(): Promise<Rows> {
  return new Promise((resolve) => {
    const nothing = () => resolve({});
    setTimeout(nothing, 2000);
    try {
      const opening = indexedDB.open("ONE_SIGNAL_SDK_DB");
      opening.onupgradeneeded = () => opening.transaction?.abort();
      opening.onerror = opening.onblocked = nothing;
      opening.onsuccess = () => {
        const database = opening.result;
        const names = ["Ids", "Options", "identity", "properties", "subscriptions"].filter((name) => database.objectStoreNames.contains(name));
        const rows: Rows = {};
        if (!names.length) return database.close(), nothing();
        const reading = database.transaction(names);
        for (const name of names) {
          const all = reading.objectStore(name).getAll();
          all.onsuccess = () => (rows[name] = all.result);
        }
        reading.oncomplete = reading.onabort = () => {
          database.close();
          resolve(rows);
        };
      };
    } catch {
      nothing(); // the visitor blocks site data
    }
  });
}

/** Reports whether the visitor refused OneSignal's prompt and its pause still lasts. */
export function silenced(item: string | null, now: number): boolean {
  try {
    const { value, timestamp } = JSON.parse(item ?? "");
    return JSON.parse(value) === "dismissed" && Number(timestamp) > now;
  } catch {
    return false;
  }
}

/** Takes over who the visitor was, and an opt-out and a refusal, unless the visitor has
 * answered us since. `webpush:ct` has what the server still has to learn. */
export function adoptKnown(local: Memory<LocalValues>, { out, ...found }: StoredPerson & { out: boolean }, refused: boolean, now: number): void {
  storePerson(local, { ...found, ...storedPerson(local) });
  const identities = found.externalId ? [{ kind: "identity", value: found.externalId }] : undefined;
  if (found.id || identities) local.set("ct", JSON.stringify({ id: found.id, identities }));
  if (out && !local.get("out")) local.set("out", outByVisitor);
  if (refused && !local.get("asked")) local.set("asked", String(now));
}
