// A notification as OneSignal's listeners get it. Pure functions.

import type { WorkerMessage } from "../shared/worker_message";

export interface ActionButton {
  actionId: string;
  text: string;
  icon?: string;
  launchURL?: string;
}

/** The names of v16 and, after confirmDelivery, those of v15. */
export interface OSNotification {
  notificationId: string;
  title?: string;
  body: string;
  icon?: string;
  badgeIcon?: string;
  image?: string;
  actionButtons?: ActionButton[];
  topic?: string;
  additionalData?: object;
  launchURL?: string;
  confirmDelivery: boolean;
  id: string;
  heading?: string;
  content: string;
  data?: unknown;
  url?: string;
  action?: string;
}

export function notificationOf(message: WorkerMessage): OSNotification {
  const { id, title, body = "", icon, badge, image, tag, data, actions, url, action } = message;
  const buttons = actions?.map((button) => ({ actionId: button.action, text: button.title, icon: button.icon, launchURL: button.navigate }));
  return {
    notificationId: id,
    title,
    body,
    icon,
    badgeIcon: badge,
    image,
    actionButtons: buttons?.length ? buttons : undefined,
    topic: tag,
    additionalData: typeof data === "object" && data ? data : undefined,
    launchURL: url,
    confirmDelivery: false,
    id,
    heading: title,
    content: body,
    data: data ?? undefined,
    url,
    action,
  };
}

/** The events of v16 and of v15, in their order. */
export function eventsOf(message: WorkerMessage): [event: string, detail: unknown][] {
  const notification = notificationOf(message);
  const { action: actionId, url } = message;
  switch (message.webpush) {
    case "display":
      // The browser insists on showing every push, so the page cannot prevent it.
      return [
        ["foregroundWillDisplay", { notification: { ...notification, display() {} }, preventDefault() {} }],
        ["notificationDisplay", notification],
      ];
    case "click":
      return [
        ["click", { notification, result: { actionId: actionId || undefined, url } }],
        ["notificationClick", notification],
      ];
    case "dismiss":
      return [
        ["dismiss", { notification }],
        ["notificationDismiss", notification],
      ];
    default:
      return [];
  }
}
