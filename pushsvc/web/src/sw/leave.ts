// How our worker goes when the server has no webpush any more. Nothing wakes an
// idle worker without a fetch listener, so that it looks when something else has
// woken it and its report was not taken.

import { ownURL } from "../shared/address";
import { sameKey } from "../shared/base64url";
import type { Config } from "../shared/wire";
import { forget, recall, remember } from "./memory";
import { ownData } from "./payload";

declare const self: { registration: ServiceWorkerRegistration };

/** What one of our addresses answers: nothing there, a page in its place, or
 * anything else, which is no sign that we are gone. */
export type Finding = "absent" | "page" | "other";

/** Reads an answer. Redirects (status 0), refusals and faults say nothing about
 * whether webpush is there; our own scripts never have the type of a page. */
export function readAnswer(status: number, contentType: string | null): Finding {
  if (status === 404 || status === 410) return "absent";
  return status === 200 && /html/i.test(contentType ?? "") ? "page" : "other";
}

/** What is remembered between two looks, in ms; 0 for never. */
export interface Note {
  /** The last look that ended with staying. */
  at: number;
  /** The first of the looks that found us gone, with none between that did not. */
  since: number;
}

const hour = 3_600_000;
const pause = 6 * hour;
const patience = 24 * hour;

/** Whether it is time for a look. A note from a clock that ran ahead must not
 * silence it for years. */
export function isDue(note: Note, now: number): boolean {
  return Math.abs(now - note.at) >= pause;
}

/** Decides by what the worker's and the SDK's addresses answer. Both absent is
 * certain. Pages in their place may also be somebody's filter or login, so that
 * they have to be there still a day later. showing: one of our notifications is
 * on display, and browsers would close it with the registration; its click or
 * close brings the next look, which therefore is not put off. Returns the note to
 * stay with, undefined for leaving. */
export function decide(worker: Finding, sdk: Finding, showing: boolean, note: Note, now: number): Note | undefined {
  if (worker === "other" || sdk === "other") return { at: now, since: 0 };
  const since = note.since && note.since <= now ? note.since : now;
  const sure = (worker === "absent" && sdk === "absent") || now - since >= patience;
  if (sure && !showing) return undefined;
  return { at: sure ? 0 : now, since };
}

async function look(url: string): Promise<Finding> {
  const { status, headers } = await fetch(ownURL(url), { cache: "no-store", redirect: "manual" });
  return readAnswer(status, headers.get("Content-Type"));
}

/** Looks whether webpush is gone from the site, and if so goes as well: ends our
 * subscription and removes the registration. Only where the registration is ours
 * alone. except is the message whose notification is going away just now. Never
 * rejects: any fault, being offline among them, means staying. */
export async function leaveIfGone(config: Config, except?: string): Promise<void> {
  try {
    if (!config.standalone) return;
    const { registration } = self;
    // The site has begun to use the scope for a worker of its own.
    if (registration.waiting || registration.installing) return;
    if (registration.active?.scriptURL !== location.href) return;
    const now = Date.now();
    const note = await recall<Note>("note", { at: 0, since: 0 });
    if (!isDue(note, now)) return;
    const worker = await look(location.href);
    const sdk = worker === "other" ? worker : await look(config.prefix + "/sdk.js");
    const shown = await registration.getNotifications();
    const showing = shown.some((one) => {
      const data = ownData(one.data);
      return data && (!except || data.message !== except);
    });
    const stay = decide(worker, sdk, showing, note, now);
    await (stay ? remember("note", stay) : leave(config));
  } catch {
    // Offline, or no storage.
  }
}

/** Ends our subscription and removes the registration, unless another provider
 * uses it. ending learns of the subscription before it ends. */
export async function leave(
  config: Config,
  ending?: (subscription: PushSubscription) => Promise<void>,
): Promise<void> {
  const { registration } = self;
  const subscription = await registration.pushManager.getSubscription();
  if (subscription) {
    const used = subscription.options?.applicationServerKey;
    if (![config.key, ...(config.oldKeys ?? [])].some((key) => sameKey(used, key))) return;
    await ending?.(subscription);
    // Unregistering ends it too, where the push service cannot be reached now.
    await subscription.unsubscribe().catch(() => {});
  }
  await forget().catch(() => {});
  await registration.unregister();
}
