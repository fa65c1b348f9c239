import { ownURL } from "./address";

/** The server refused for good: the same request will be refused again. */
export class Refused extends Error {
  constructor(readonly status: number) {
    super("webpush: server answered " + status);
    this.name = "WebPushRefused";
  }
}

const longestWait = 30_000;

/** Milliseconds to wait after `tries` failures. Retry-After in seconds counts up to half a
 * minute: a page does not wait longer, and the next visit synchronises anyway. */
export function backoff(tries: number, retryAfter: string | null | undefined, random: number): number {
  const asked = Number(retryAfter ?? NaN) * 1000;
  if (asked > 0) return Math.min(asked, longestWait);
  return Math.min(500 * 4 ** (tries - 1), longestWait) * (0.75 + random / 2);
}

/** Reports whether a later attempt may succeed. */
export function isTransient(status: number): boolean {
  return status === 429 || status === 408 || status >= 500;
}

/** Reports whether an answer is our server's: a site that answers every path with its start
 * page, or with a login, answers 200. */
export function isTaken(status: number): boolean {
  return status === 201 || status === 204;
}

/** POSTs JSON to a path of this origin, up to `attempts` times. Resolves to the answer if
 * the server took it; rejects with Refused or with the last network error. keepalive lets
 * the request outlive the page or the worker's event. */
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
