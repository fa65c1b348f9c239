import { ownURL } from "../shared/address";
import { sameKey } from "../shared/base64url";
import { post } from "../shared/post";
import type { Config, SubscribeRequest } from "../shared/wire";
import { chooseTab } from "./clients";
import { leaveIfGone } from "./leave";
import { clickURL, ownData, planPush, type Plan } from "./payload";
import { report, reportRest, syncTag } from "./report";

declare const self: ServiceWorkerGlobalScope & { [loaded]?: true };

const loaded: unique symbol = Symbol.for("webpush.worker") as never;

/** Registers every listener at once: a worker that adds one later misses the event that
 * started it. There is no fetch listener: the worker never delays the site's requests. */
function start(config: Config): void {
  if (self[loaded]) return;
  self[loaded] = true;
  self.addEventListener("install", () => {
    // The life cycle of the site's own worker is the site's.
    if (config.standalone) void self.skipWaiting();
  });
  self.addEventListener("push", (event) => {
    // A mutable declarative push: the browser shows it unless we do (Push API, 3.3).
    if ((event as { notification?: unknown }).notification) return;
    const plan = planPush(event.data, config, self.registration.scope);
    if (plan) event.waitUntil(receive(plan, config));
  });
  self.addEventListener("notificationclick", (event) => {
    const data = ownData(event.notification.data);
    if (!data) return;
    event.notification.close();
    const url = clickURL(data, event.action, self.registration.scope);
    // Both start now: report and tab must not wait for each other.
    event.waitUntil(Promise.all([report(config, "clicked", data, event.action), open(url)]));
  });
  self.addEventListener("notificationclose", (event) => {
    const data = ownData(event.notification.data);
    if (data) event.waitUntil(report(config, "closed", data));
  });
  self.addEventListener("pushsubscriptionchange", (event) => {
    event.waitUntil(renew(event as PushSubscriptionChangeEvent, config).catch(() => leaveIfGone(config)));
  });
  // Only browsers with Background Sync send it.
  self.addEventListener("sync" as "push", (event) => {
    if ((event as ExtendableEvent & { tag?: string }).tag === syncTag) event.waitUntil(reportRest(config));
  });
}

async function receive(plan: Plan, config: Config): Promise<void> {
  // Nothing comes before showing, least of all the network: browsers count slow handlers as
  // silent pushes.
  await show(plan);
  await Promise.all([badge(plan.badge), report(config, "shown", plan.options.data)]);
}

async function badge(count: number | undefined): Promise<void> {
  try {
    if (count !== undefined) await navigator.setAppBadge(count);
  } catch {
    // The site is not installed, or the engine has no badges.
  }
}

async function show({ title, options }: Plan): Promise<void> {
  try {
    await self.registration.showNotification(title, options);
  } catch {
    // An engine that rejects one option still shows the words.
    const { body, data } = options;
    await self.registration.showNotification(title, { body, data });
  }
}

async function open(url: string): Promise<void> {
  const [all, controlled] = await Promise.all([
    self.clients.matchAll({ type: "window", includeUncontrolled: true }),
    self.clients.matchAll({ type: "window" }),
  ]);
  const { tab, navigate } = chooseTab(url, all, controlled);
  if (tab) {
    try {
      await tab.focus();
      if (navigate) await tab.navigate(url);
      return;
    } catch {
      // The tab was closed meanwhile, or the engine refuses: open a new one.
    }
  }
  await self.clients.openWindow(url || ownURL("/"));
}

async function renew(event: PushSubscriptionChangeEvent, config: Config): Promise<void> {
  const old = event.oldSubscription;
  // In a shared worker the lost subscription may be another provider's.
  if (old && !sameKey(old.options?.applicationServerKey, config.key)) return;
  const subscription =
    event.newSubscription ||
    (await self.registration.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: config.key,
    }));
  if (!sameKey(subscription.options?.applicationServerKey, config.key)) return;
  const body = subscription.toJSON() as SubscribeRequest;
  body.applicationServerKey = config.key;
  const auth = old?.toJSON().keys?.auth;
  if (old && auth) body.replaces = { endpoint: old.endpoint, keys: { auth } };
  await post(config.prefix + "/subscribe", body, 4);
}

start(__WEBPUSH_CONFIG__);
