// The state of this browser, for getters that cannot wait.

import { local } from "../sdk/storage";
import { storedPerson } from "./storage";

/** Reports whether push works here at all. */
export const supported = (): boolean =>
  isSecureContext && "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

export const permission = (): NotificationPermission => ("Notification" in window ? Notification.permission : "denied");

/** A subscription in the form that listeners receive. */
export interface Subscription {
  id: string | undefined;
  token: string | undefined;
  optedIn: boolean;
}

/** The subscription of this browser, as far as the server has it. */
export function subscription(): Subscription {
  let token: string | undefined;
  try {
    token = (JSON.parse(local.get("sub")) as { endpoint?: string }).endpoint;
  } catch {
    // There is no subscription.
  }
  const optedIn = !!token && permission() === "granted" && !local.get("out");
  return { id: token && storedPerson(local).id, token, optedIn };
}

/** Reports whether consent is required and missing. */
export function blocked(): boolean {
  const { required, given } = storedPerson(local);
  return !!required && !given;
}
