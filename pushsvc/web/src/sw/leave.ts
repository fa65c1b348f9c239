// How our worker removes itself when the server no longer has webpush. Nothing wakes an
// idle worker without a fetch listener, so it checks when another event has woken it and
// the server did not take its report.

import { ownURL } from "../shared/address";
import { sameKey } from "../shared/base64url";
import type { Config } from "../shared/wire";
import { forget, type Note, recall, remember } from "./memory";
import { ownData } from "./payload";

declare const self: { registration: ServiceWorkerRegistration };

/** The answer of one of our addresses: nothing there, a page in its place, or anything
 * else, which does not show that webpush is gone. */
export type Finding = "absent" | "page" | "other";

/** Reads an answer. Redirects (status 0), refusals and faults do not show whether webpush
 * is there. Our own scripts never have the type of a page. */
export function readAnswer(status: number, contentType: string | null): Finding {
  if (status === 404 || status === 410) return "absent";
  return status === 200 && /html/i.test(contentType ?? "") ? "page" : "other";
}

const hour = 3_600_000;
const checkInterval = 6 * hour;
const certainAfter = 24 * hour;

/** Reports whether a check is due. A note from a clock that ran ahead must not prevent it
 * for years. */
export function isDue(note: Note, now: number): boolean {
  return Math.abs(now - note.at) >= checkInterval;
}

/** Decides by the answers of the worker's and the SDK's addresses. Returns the note to stay
 * with, undefined for leaving.
 * - Both absent is certain.
 * - Pages in their place may be a filter or a login, so they must still be there a day
 *   later.
 * - showing: one of our notifications is on display, and browsers would close it with the
 *   registration. Its click or close brings the next check, which is therefore due at once. */
export function decide(worker: Finding, sdk: Finding, showing: boolean, note: Note, now: number): Note | undefined {
  if (worker === "other" || sdk === "other") return { at: now, since: 0 };
  const since = note.since && note.since <= now ? note.since : now;
  const sure = (worker === "absent" && sdk === "absent") || now - since >= certainAfter;
  if (sure && !showing) return undefined;
  return { at: sure ? 0 : now, since };
}

async function answerOf(url: string): Promise<Finding> {
  const { status, headers } = await fetch(ownURL(url), { cache: "no-store", redirect: "manual" });
  return readAnswer(status, headers.get("Content-Type"));
}

/** Checks whether webpush is gone from the site; if so, ends our subscription and removes
 * the registration. Only if the registration is ours alone. except: the message whose
 * notification is just closing. Never rejects: any fault, such as being offline, means
 * staying. */
export async function leaveIfGone(config: Config, except?: string): Promise<void> {
  try {
    if (!config.standalone) return;
    const { registration } = self;
    // The site has begun to use the scope for its own worker.
    if (registration.waiting || registration.installing) return;
    if (registration.active?.scriptURL !== location.href) return;
    const now = Date.now();
    const note = await recall("note", { at: 0, since: 0 });
    if (!isDue(note, now)) return;
    const worker = await answerOf(location.href);
    const sdk = worker === "other" ? worker : await answerOf(config.prefix + "/sdk.js");
    const shown = await registration.getNotifications();
    const showing = shown.some((notification) => {
      const data = ownData(notification.data);
      return data && (!except || data.message !== except);
    });
    const stay = decide(worker, sdk, showing, note, now);
    await (stay ? remember("note", stay) : leave(config));
  } catch {
    // Offline, or no storage.
  }
}

/** Ends our subscription and removes the registration, unless another provider uses it.
 * ending receives the subscription before it ends. */
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
    // Unregistering ends it too if the push service cannot be reached.
    await subscription.unsubscribe().catch(() => {});
  }
  await forget().catch(() => {});
  await registration.unregister();
}
