// Posts the site's notifications to its pages that listen by OneSignal's names. It is
// appended to our worker, only under `compat onesignal`.

import { ownURL } from "../shared/address";
import type { WorkerMessage } from "../shared/worker_message";
import { chooseTab } from "./clients";
import { clickURL, ownData, parsePayload, webURL } from "./payload";

declare const self: ServiceWorkerGlobalScope & { [loaded]?: true };

const loaded: unique symbol = Symbol.for("webpush.tell") as never;

/** How long a click waits for the page that it opens, in ms; and the cache where it waits,
 * because our worker empties its own (memory.ts). */
const wait = 300_000;
const cacheName = "webpush-click";

function start(): void {
  if (self[loaded]) return;
  self[loaded] = true;
  self.addEventListener("push", (event) => {
    const { id, notification } = parsePayload(event.data);
    if (!id) return;
    const { title, body, icon, badge, image, tag, data, actions, navigate } = notification;
    event.waitUntil(tellAll({ webpush: "display", id, title, body, icon, badge, image, tag, data, actions, url: webURL(navigate, self.registration.scope) || undefined }));
  });
  self.addEventListener("notificationclick", (event) => {
    const message = messageOf(event.notification, "click", event.action);
    if (message) event.waitUntil(tellClicked(message));
  });
  self.addEventListener("notificationclose", (event) => {
    const message = messageOf(event.notification, "dismiss", "");
    if (message) event.waitUntil(tellAll(message));
  });
  self.addEventListener("message", (event) => {
    if ((event.data as { webpush?: string } | undefined)?.webpush === "clicks" && event.source) event.waitUntil(tellWaiting(event.source));
  });
}

/** The message about a notification of ours; undefined for one of the site's own. */
function messageOf(notification: Notification, webpush: WorkerMessage["webpush"], action: string): WorkerMessage | undefined {
  const ours = ownData(notification.data);
  if (!ours) return undefined;
  const { title, body, icon, badge, image, tag, actions } = notification as Notification & Pick<WorkerMessage, "image" | "badge" | "actions">;
  const url = clickURL(ours, action, self.registration.scope) || undefined;
  const buttons = actions?.map(({ action, title, icon }) => ({ action, title, icon, navigate: ours.actions[action] }));
  return { webpush, id: ours.message, title, body, icon, badge, image, tag, data: ours.data, actions: buttons, url, action };
}

const windows = () => self.clients.matchAll({ type: "window", includeUncontrolled: true });

async function tellAll(message: WorkerMessage): Promise<void> {
  for (const tab of await windows()) tab.postMessage(message);
}

/** Tells the tab that the click brings to the front, or else the page that it opens. */
async function tellClicked(message: WorkerMessage): Promise<void> {
  const [all, controlled] = await Promise.all([windows(), self.clients.matchAll({ type: "window" })]);
  const { tab, navigate } = chooseTab(message.url ?? "", all, controlled);
  if (tab && !navigate) tab.postMessage(message);
  else await (await caches.open(cacheName)).put(ownURL("/" + cacheName), new Response(JSON.stringify({ told: message, time: Date.now() })));
}

async function tellWaiting(page: { postMessage(message: unknown): void }): Promise<void> {
  const cached = await caches.match(ownURL("/" + cacheName), { cacheName });
  if (!cached) return;
  const { told: message, time }: { told: WorkerMessage; time: number } = await cached.json();
  await caches.delete(cacheName);
  if (Math.abs(Date.now() - time) < wait) page.postMessage(message);
}

start();
