import { decodeBase64url, sameKey } from "../shared/base64url";
import { post } from "../shared/post";
import type { Config, SubscribeAnswer, SubscribeRequest, SubscriptionProof } from "../shared/wire";
import { trace } from "./log";
import { local, session } from "./storage";
import { checkedOf, choose, chosen } from "./topics";
import { activeWorker, findWorker, isVendors, takeOver } from "./worker";

/** The browser's subscription at this site, whoever made it. */
export async function currentSubscription(config: Config): Promise<PushSubscription | null> {
  const registration = await findWorker(config);
  return registration ? registration.pushManager.getSubscription() : null;
}

/** Whose a subscription is: one that another provider made for this site is
 * not ours to end, or its list would bleed away. */
export function ours(subscription: PushSubscription, config: Config): boolean {
  const used = subscription.options?.applicationServerKey;
  return (
    [config.key, ...(config.oldKeys ?? [])].some((key) => sameKey(used, key)) ||
    lastKnown()?.endpoint === subscription.endpoint
  );
}

/** Makes sure that this browser is subscribed with the site's key and that the
 * server knows. Needs granted permission. One POST per tab session and
 * subscription: so a lost or rotated one heals at the next visit. Another
 * provider's subscription is replaced only if the visitor asked for it (wanted),
 * or if the site moves away from that provider.
 * Resolves to whether there was something to tell the server, null for a
 * subscription that was left alone. */
export async function connect(config: Config, wanted: boolean): Promise<boolean | null> {
  const found = await findWorker(config);
  const existing = await found?.pushManager.getSubscription();
  // Where pages speak CleverTap to us, its subscribers come over as it did itself
  // when its key changed.
  const moves = isVendors(found, config) || (config.compat && !config.dualRun);
  if (existing && !wanted && !moves && !ours(existing, config)) return null;
  const registration = await activeWorker(config);
  const { pushManager } = registration;
  let replaced: SubscriptionProof | undefined;
  const drop = async (stale: PushSubscription): Promise<void> => {
    replaced = proof(stale);
    await stale.unsubscribe();
  };
  const subscribe = () =>
    pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: decodeBase64url(config.key),
    });

  let subscription = await pushManager.getSubscription();
  if (subscription && !sameKey(subscription.options?.applicationServerKey, config.key)) {
    await drop(subscription);
    subscription = null;
  }
  if (!subscription) {
    try {
      subscription = await subscribe();
    } catch (error) {
      // Another key is in the way that options did not tell.
      const stale = await pushManager.getSubscription();
      if ((error as DOMException).name !== "InvalidStateError" || !stale) throw error;
      await drop(stale);
      subscription = await subscribe();
    }
  }
  await takeOver(config, registration);
  const told = await synchronise(config, subscription, replaced);
  // The worker in use may date from before ours was appended to it.
  if (told) registration.update().catch(() => {});
  return told;
}

async function synchronise(
  config: Config,
  subscription: PushSubscription,
  replaced: SubscriptionProof | undefined,
): Promise<boolean> {
  const body = subscription.toJSON() as SubscribeRequest;
  const stamp = () => [body.endpoint, body.keys.p256dh, local.get("topics")].join(" ");
  const before = stamp();
  if (session.get("synced") === before) return false;
  body.applicationServerKey = config.key;
  body.language = navigator.language;
  body.timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  // Without query and fragment: they carry tokens and names.
  body.page = location.origin + location.pathname;
  // What was replaced here may be another provider's, which the server never had.
  const replaces = lastKnown() || replaced;
  if (replaces && replaces.endpoint !== body.endpoint) body.replaces = replaces;
  const remembered = chosen();
  body[remembered ? "topics" : "defaultTopics"] = checkedOf(config);
  const answer = await tell(config, "subscribe", body);
  if (!remembered) {
    const { topics }: SubscribeAnswer = await answer.json().catch(() => ({}));
    // Not over what was chosen meanwhile.
    if (topics && !chosen()) choose(topics);
  }
  session.set("synced", remembered ? before : stamp());
  local.set("sub", JSON.stringify(proof(subscription)));
  return true;
}

/** Ends the subscription here, then tells the server. Rejects only for the
 * first: a server that could not be told learns
 * it from the push service, which answers 410 from now on. */
export async function disconnect(config: Config, failed: (error: unknown) => void): Promise<void> {
  const subscription = await currentSubscription(config);
  session.remove("synced");
  local.remove("sub");
  if (!subscription) return;
  const body = proof(subscription);
  await subscription.unsubscribe();
  await tell(config, "unsubscribe", body).catch(failed);
}

/** Tells the server of a subscription that went with the visitor's permission. */
export async function revoke(config: Config): Promise<void> {
  const gone = lastKnown();
  session.remove("synced");
  local.remove("sub");
  // One that cannot be told now learns it from the push service.
  if (gone) await tell(config, "unsubscribe", gone).catch(() => {});
}

async function tell(config: Config, action: string, body: object): Promise<Response> {
  trace("POST", action, Object.keys(body).join());
  const answer = await post(config.prefix + "/" + action, body, 4);
  trace("POST", action, "taken");
  return answer;
}

function proof(subscription: PushSubscription): SubscriptionProof {
  const { endpoint, keys } = subscription.toJSON() as SubscribeRequest;
  return { endpoint, keys: { auth: keys.auth } };
}

/** The subscription that the server got last from here. If the browser has
 * another one by now, the server can drop that and keep the visitor's history. */
function lastKnown(): SubscriptionProof | undefined {
  try {
    return JSON.parse(local.get("sub"));
  } catch {
    return undefined;
  }
}
