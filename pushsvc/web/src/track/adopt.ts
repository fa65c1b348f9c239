import type { Entry, Identity } from "../shared/entries";

/** Converts `webpush:ct`, what another provider's storage held of the visitor, to an entry;
 * undefined if there is nothing to record. */
export function adoptEntry(text: string): (Entry & { type: "adopt" }) | undefined {
  let known: { id?: string; identities?: (string | Identity)[] };
  try {
    known = JSON.parse(text);
  } catch {
    return undefined;
  }
  const entry: Entry & { type: "adopt" } = { type: "adopt" };
  if (typeof known?.id === "string" && known.id) entry.device = known.id;
  const identities = Array.isArray(known?.identities) ? known.identities.map(identity).filter(({ value }) => value) : [];
  if (identities.length) entry.identities = identities;
  return entry.device || entry.identities ? entry : undefined;
}

/** CleverTap keeps identities as texts; some begin with their kind. */
function identity(text: string | Identity): Identity {
  if (typeof text === "object") return text;
  const [, prefix, value] = /^(GP|FB):(.*)$/s.exec(text) ?? [];
  if (prefix) return { kind: prefix === "GP" ? "gpid" : "fbid", value: value! };
  return { kind: /^[^@\s]+@[^@\s]+$/.test(text) ? "email" : "identity", value: text };
}
