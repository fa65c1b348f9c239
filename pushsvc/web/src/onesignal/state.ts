// Where this browser stands, for getters that cannot wait.

import { local } from "../sdk/storage";
import { kept } from "./storage";

/** Whether push works here at all. */
export const supported = (): boolean =>
  isSecureContext && "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

export const permission = (): NotificationPermission => ("Notification" in window ? Notification.permission : "denied");

/** A subscription as listeners are told of it. */
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
    // There is none.
  }
  const optedIn = !!token && permission() === "granted" && !local.get("out");
  return { id: token && kept(local).id, token, optedIn };
}

/** Whether consent is needed, and not given yet. */
export function blocked(): boolean {
  const { required, given } = kept(local);
  return !!required && !given;
}
