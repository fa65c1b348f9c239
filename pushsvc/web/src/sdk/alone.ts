/** Runs action while no other tab of the site runs one. Where there are no locks
 * (Web Locks; refused where site data is blocked), and where another tab does not
 * come to an end within half a minute, it runs all the same. */
export function alone<T>(action: () => Promise<T>): Promise<T> {
  let result: Promise<T> | undefined;
  const once = () => (result ??= action());
  // A refusal of the lock's lets it run now; one of action's own stays one.
  return navigator.locks
    ? navigator.locks.request("webpush", { signal: AbortSignal.timeout?.(30_000) }, once).catch(once)
    : once();
}
