/** Runs action while no other tab of the site runs one. It runs anyway without Web Locks
 * (browsers refuse them if the visitor blocks site data), and after half a minute of
 * waiting for another tab. */
export function withTabLock<T>(action: () => Promise<T>): Promise<T> {
  let result: Promise<T> | undefined;
  const once = () => (result ??= action());
  // A refused lock runs action now; an error of action itself is passed on.
  return navigator.locks
    ? navigator.locks.request("webpush", { signal: AbortSignal.timeout?.(30_000) }, once).catch(once)
    : once();
}
