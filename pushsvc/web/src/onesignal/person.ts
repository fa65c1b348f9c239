// Who the visitor is by OneSignal's names, on the SDK's queue, and a copy of it in this
// browser, from which the getters answer: they cannot wait for the server.

import type { SDK } from "../sdk/sdk";
import { local } from "../sdk/storage";
import { blocked } from "./state";
import { storedPerson, storePerson } from "./storage";
import { changedTags, cleanTags } from "./tags";

export interface Current {
  onesignalId: string | undefined;
  externalId: string | undefined;
}

const textOf = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "");

export class Person {
  constructor(
    private readonly sdk: SDK,
    private readonly changed: (current: Current) => void,
  ) {}

  current(): Current {
    const { onesignalId, externalId } = storedPerson(local);
    return { onesignalId, externalId };
  }

  /** Sites call it on every page: an unchanged login is recorded once in a visit. */
  login(id: unknown, token: unknown): void {
    const externalId = textOf(id);
    if (!externalId) return this.warn("login: the external id is missing");
    const before = storedPerson(local);
    const visit = externalId + " " + local.get("visit").split(" ")[0];
    const signature = /^[\da-f]{64}$/i.test(textOf(token)) ? textOf(token) : undefined;
    if (local.get("oslogin") !== visit) this.sdk.login({ identity: externalId, ...(signature && { signature }) });
    local.set("oslogin", visit);
    if (before.externalId === externalId) return;
    // The tags of a known person are not the next person's; those of an unknown visitor
    // are.
    storePerson(local, { externalId, onesignalId: before.onesignalId ?? crypto.randomUUID(), ...(before.externalId && { tags: {} }) });
    this.changed(this.current());
  }

  async logout(): Promise<void> {
    if (!storedPerson(local).externalId) return;
    storePerson(local, { externalId: undefined, onesignalId: undefined, tags: {}, id: undefined });
    local.remove("oslogin");
    this.changed(this.current());
    await this.sdk.logout();
  }

  /** Gives the subscription the id that pages and the site's server use. */
  giveId(): void {
    if (storedPerson(local).id) return;
    const id = crypto.randomUUID();
    storePerson(local, { id, onesignalId: storedPerson(local).onesignalId ?? crypto.randomUUID() });
    this.sdk.record({ type: "adopt", device: id });
  }

  alias(aliases: unknown): void {
    if (typeof aliases !== "object" || !aliases) return this.warn("addAliases: takes an object");
    for (const [label, id] of Object.entries(aliases)) {
      if (textOf(id)) this.sdk.record({ type: "adopt", device: label + ":" + textOf(id) });
    }
  }

  tag(given: unknown): Record<string, string | null> {
    const { tags, refused } = cleanTags(given);
    if (refused.length) this.warn("tags: not taken: " + refused.join(", "));
    if (Object.keys(tags).length && this.set(tags)) storePerson(local, { tags: changedTags(this.tags(), tags) });
    return tags;
  }

  untag(names: unknown): string[] {
    const list = (Array.isArray(names) ? names : [names]).map(textOf).filter(Boolean);
    this.tag(Object.fromEntries(list.map((name) => [name, null])));
    return list;
  }

  tags(): Record<string, string> {
    return storedPerson(local).tags ?? {};
  }

  /** Sets values of the profile. Returns false while consent is missing. */
  set(values: Record<string, unknown>): boolean {
    return !blocked() && this.sdk.record({ type: "profile", set: values });
  }

  setLanguage(language: unknown): void {
    if (textOf(language) && this.set({ language: textOf(language) })) storePerson(local, { language: textOf(language) });
  }

  language(): string {
    return storedPerson(local).language ?? navigator.language.split("-")[0]!;
  }

  event(name: unknown, properties?: unknown): void {
    if (!textOf(name) || blocked()) return;
    const props = typeof properties === "object" && properties ? (properties as Record<string, unknown>) : undefined;
    this.sdk.event(textOf(name), props);
  }

  /** Records an outcome as an event; a unique one once in a visit. */
  outcome(name: unknown, weight?: unknown, once = false): void {
    const visit = local.get("visit").split(" ")[0] + " " + textOf(name);
    const { outcomes = [] } = storedPerson(local);
    if (once && outcomes.includes(visit)) return;
    if (once) storePerson(local, { outcomes: [...outcomes, visit].slice(-20) });
    this.event(name, typeof weight === "number" ? { weight } : undefined);
  }

  warn(text: string): void {
    console.warn("webpush: OneSignal." + text);
  }
}
