// Reports what happened to notifications: best effort. A report that the server did not
// take goes with the next one, or earlier by Background Sync.

import { isTransient, post, type Refused } from "../shared/post";
import type { Config, EventsRequest, NotificationData, NotificationEventReport } from "../shared/wire";
import { leaveIfGone } from "./leave";
import { forget, recall, remember } from "./memory";

declare const self: {
  registration: ServiceWorkerRegistration & { sync?: { register(tag: string): Promise<void> } };
};

/** The tag of our Background Sync; the site's own worker may use others. */
export const syncTag = "webpush";

/** How many reports are kept; a request may carry 200. */
const most = 50;

const waiting = (): Promise<NotificationEventReport[]> => recall("reports", []);

async function send(config: Config, events: NotificationEventReport[], attempts: number): Promise<void> {
  const body: EventsRequest = { events };
  await post(config.prefix + "/events", body, attempts);
  // The server answers: the other notes no longer apply.
  await forget().catch(() => {});
}

/** Reports to the server. If the server does not take it, webpush may be gone. */
export async function report(
  config: Config,
  type: NotificationEventReport["type"],
  data: NotificationData,
  action?: string,
): Promise<void> {
  const { message, token } = data;
  // A push that was not ours has nothing to report.
  if (!message) return leaveIfGone(config);
  const event: NotificationEventReport = { type, message, token, time: Date.now() };
  if (action) event.action = action;
  const events = [...(await waiting().catch(() => [])), event].slice(-most);
  try {
    await send(config, events, 3);
  } catch (error) {
    // A refusal would be the same next time.
    if (isTransient((error as Partial<Refused>).status ?? 500)) {
      await remember("reports", events)
        .then(() => self.registration.sync?.register(syncTag))
        .catch(() => {});
    }
    await leaveIfGone(config, type === "shown" ? undefined : message);
  }
}

/** Sends the reports that are left. Rejects so that the browser calls it again. */
export async function reportRest(config: Config): Promise<void> {
  const events = await waiting();
  if (events.length) await send(config, events, 1);
}
