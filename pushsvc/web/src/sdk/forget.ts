import { local, session, storedNames } from "./storage";

/** Removes everything that our scripts keep in this browser (storage_keys.ts). The worker
 * removes its own cache when it unregisters. */
export function forgetAll(): void {
  for (const name of storedNames("localStorage")) local.remove(name as never);
  for (const name of storedNames("sessionStorage")) session.remove(name as never);
}
