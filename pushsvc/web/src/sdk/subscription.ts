import { decodeBase64url, sameKey } from "../shared/base64url";
import { post } from "../shared/post";
import type { Config, SubscribeAnswer, SubscribeRequest, SubscriptionProof } from "../shared/wire";
import { Failure, pushFailure, serverFailure, withTimeLimit } from "./failure";
import { trace } from "./log";
import { local, session } from "./storage";
import { checkedOf, choose, chosen } from "./topics";
import { activeWorker, findWorker, isProviders, leaveConfigured, takeOver } from "./worker";

/** The browser's subscription at this site, also if other software created it. */
export async function currentSubscription(config: Config): Promise<PushSubscription | null> {
  const registration = await findWorker(config);
  return registration ? registration.pushManager.getSubscription() : null;
}

/** Reports whether a subscription is ours. One that another provider created for this site
 * is not ours to end: the provider would lose its subscribers. */
export function ours(subscription: PushSubscription, config: Config): boolean {
  const used = subscription.options?.applicationServerKey;
  return (
    [config.key, ...(config.oldKeys ?? [])].some((key) => sameKey(used, key)) ||
    lastKnown()?.endpoint === subscription.endpoint
  );
}

/** How long the end of a subscription may take, in ms. */
const endLimit = 10_000;

/** The request that the push service has not answered yet. A second one beside it fails. */
let pending: Promise<PushSubscription> | undefined;

/** The visitor has unsubscribed since the last attempt to subscribe. */
let unsubscribed = false;

/** What the server received from this page, if storage is blocked. */
let sentHere = "";

/** Makes sure that this browser is subscribed with the site's key and that the server
 * knows. Needs granted permission.
 * - It sends one POST per tab session and subscription, so that a lost or rotated
 *   subscription heals at the next visit.
 * - It replaces another provider's subscription only if the visitor asked for it (wanted),
 *   or if the site moves away from that provider.
 * - It resolves to whether it sent anything, null for a subscription that it left alone.
 * - It rejects with a Failure, also if something takes too long.
 * - late runs if that ends after all, or when the browser is online again: connect may
 *   then be called again. */
export async function connect(config: Config, wanted: boolean, late: () => void = () => {}): Promise<boolean | null> {
  unsubscribed = false;
  try {
    return await connectNow(config, wanted, late);
  } catch (error) {
    const { code } = error as Partial<Failure>;
    if (code === "server_unreachable" || code === "worker_failed") addEventListener("online", late, { once: true });
    throw error;
  }
}

async function connectNow(config: Config, wanted: boolean, late: () => void): Promise<boolean | null> {
  const found = await findWorker(config);
  const existing = await found?.pushManager.getSubscription();
  // If pages use CleverTap's API, its subscribers become ours, as CleverTap itself does
  // when its key changes.
  const moves = isProviders(found, config) || (config.compat && !config.dualRun);
  if (existing && !wanted && !moves && !ours(existing, config)) return null;
  const registration = await activeWorker(config, late);
  const { pushManager } = registration;
  let replaced: SubscriptionProof | undefined;
  const drop = async (stale: PushSubscription): Promise<void> => {
    replaced = proof(stale);
    await stale.unsubscribe();
  };
  const subscribe = () => subscribeWith(pushManager, config.key, late);

  let subscription = await pushManager.getSubscription();
  if (subscription && !sameKey(subscription.options?.applicationServerKey, config.key)) {
    await drop(subscription);
    subscription = null;
  }
  if (!subscription) {
    try {
      subscription = await subscribe();
    } catch (error) {
      // A subscription with another key exists, which options did not tell.
      const stale = await pushManager.getSubscription();
      if ((error as Failure).code !== "key_conflict" || !stale) throw error;
      await drop(stale);
      subscription = await subscribe();
    }
  }
  await takeOver(config, registration);
  await leaveConfigured(config);
  const sent = await synchronise(config, subscription, replaced, late);
  // The worker in use may be older than the one to which ours is appended.
  if (sent) registration.update().catch(() => {});
  return sent;
}

/** Subscribes, or waits for the push service's answer to an earlier request of this page.
 * It ends a subscription that comes after the limit if the visitor has unsubscribed by
 * then. */
async function subscribeWith(pushManager: PushManager, key: string, late: () => void): Promise<PushSubscription> {
  const asked = (pending ??= pushManager
    .subscribe({ userVisibleOnly: true, applicationServerKey: decodeBase64url(key) })
    .finally(() => (pending = undefined)));
  try {
    return await withTimeLimit(asked, "push_timeout", (subscription) => void (unsubscribed ? subscription.unsubscribe() : late()));
  } catch (error) {
    throw error instanceof Failure ? error : pushFailure(error);
  }
}

async function synchronise(
  config: Config,
  subscription: PushSubscription,
  replaced: SubscriptionProof | undefined,
  late: () => void,
): Promise<boolean> {
  const body = subscription.toJSON() as SubscribeRequest;
  const stamp = () => [body.endpoint, body.keys.p256dh, local.get("topics")].join(" ");
  const before = stamp();
  if ((session.get("synced") || sentHere) === before) return false;
  body.applicationServerKey = config.key;
  body.language = navigator.language;
  body.timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  // Without query and fragment: they carry tokens and names.
  body.page = location.origin + location.pathname;
  // The replaced subscription may be another provider's, which the server never had.
  const replaces = lastKnown() || replaced;
  if (replaces && replaces.endpoint !== body.endpoint) body.replaces = replaces;
  const remembered = chosen();
  body[remembered ? "topics" : "defaultTopics"] = checkedOf(config);
  const answer = await sendSubscription(config, body, late);
  if (!remembered) {
    const { topics }: SubscribeAnswer = await answer.json().catch(() => ({}));
    // The visitor may have chosen meanwhile.
    if (topics && !chosen()) choose(topics);
  }
  session.set("synced", (sentHere = remembered ? before : stamp()));
  local.set("sub", JSON.stringify(proof(subscription)));
  return true;
}

/** Ends the subscription here, then tells the server. Rejects only if the first fails: a
 * server that did not hear of it learns it from the push service, which answers 410 from
 * now on. */
export async function disconnect(config: Config, failed: (error: unknown) => void): Promise<void> {
  unsubscribed = true;
  const subscription = await currentSubscription(config);
  forgetSent();
  if (!subscription) return;
  const body = proof(subscription);
  // The server gets the request even if the push service does not answer.
  await Promise.race([subscription.unsubscribe(), new Promise((resolve) => setTimeout(resolve, endLimit))]);
  await send(config, "unsubscribe", body).catch(failed);
}

/** Tells the server of a subscription that ended with the visitor's permission. */
export async function revoke(config: Config): Promise<void> {
  const gone = lastKnown();
  forgetSent();
  // If this fails, the server learns it from the push service's 410.
  if (gone) await send(config, "unsubscribe", gone).catch(() => {});
}

function forgetSent(): void {
  sentHere = "";
  session.remove("synced");
  local.remove("sub");
}

async function send(config: Config, action: string, body: object): Promise<Response> {
  trace("POST", action, Object.keys(body).join());
  const answer = await post(config.prefix + "/" + action, body, 4);
  trace("POST", action, "taken");
  return answer;
}

/** Sends a subscription to the site. late runs if the answer comes after the limit. */
async function sendSubscription(config: Config, body: SubscribeRequest, late: () => void): Promise<Response> {
  return withTimeLimit(send(config, "subscribe", body), "server_timeout", late).catch((error) => {
    throw serverFailure(error);
  });
}

function proof(subscription: PushSubscription): SubscriptionProof {
  const { endpoint, keys } = subscription.toJSON() as SubscribeRequest;
  return { endpoint, keys: { auth: keys.auth } };
}

/** The last subscription that the server received from here. If the browser has another one
 * by now, the server drops the old one and keeps the visitor's history. */
function lastKnown(): SubscriptionProof | undefined {
  try {
    return JSON.parse(local.get("sub"));
  } catch {
    return undefined;
  }
}
