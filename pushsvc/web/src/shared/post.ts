import { ownURL } from "./address";

/** The server refused for good: repeating the same request is of no use. */
export class Refused extends Error {
  constructor(readonly status: number) {
    super("webpush: server answered " + status);
    this.name = "WebPushRefused";
  }
}

const longestWait = 30_000;

/** Milliseconds to wait before try number `tries + 1` (first failure: tries = 1).
 * Retry-After in seconds is honoured up to half a minute; nobody waits longer
 * on a page, and the next visit synchronises anyway. */
export function backoff(tries: number, retryAfter: string | null | undefined, random: number): number {
  const asked = Number(retryAfter ?? NaN) * 1000;
  if (asked > 0) return Math.min(asked, longestWait);
  return Math.min(500 * 4 ** (tries - 1), longestWait) * (0.75 + random / 2);
}

/** Whether a later attempt may succeed. */
export function isTransient(status: number): boolean {
  return status === 429 || status === 408 || status >= 500;
}

/** Whether an answer is one of our server's: a site that answers every path with
 * its start page, or with a login, says 200. */
export function isTaken(status: number): boolean {
  return status === 201 || status === 204;
}

/** POSTs JSON to a path of this origin, up to `attempts` times. Resolves to the
 * answer when it was taken, rejects with Refused or with the last network error.
 * keepalive lets the request outlive the page or the worker's event. */
export async function post(path: string, body: unknown, attempts: number): Promise<Response> {
  for (let tries = 1; ; tries++) {
    let failure: unknown;
    const response = await fetch(ownURL(path), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials: "same-origin",
      keepalive: true,
    }).catch((error) => void (failure = error));
    if (response) {
      if (isTaken(response.status)) return response;
      failure = new Refused(response.status);
    }
    if (tries >= attempts || (response && !isTransient(response.status))) throw failure;
    const wait = backoff(tries, response?.headers.get("Retry-After"), Math.random());
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
