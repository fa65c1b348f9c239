import { isTransient } from "../shared/post";

/** Why this browser could not be subscribed. The documentation of the page API has a cure
 * for each. */
const meanings = {
  push_timeout: "the browser's push service does not answer",
  push_refused: "the browser's push service refuses, or push is switched off in the browser",
  push_failed: "the browser cannot subscribe",
  not_allowed: "the browser does not allow notifications here",
  key_conflict: "a subscription with another key is in the way",
  worker_timeout: "the service worker does not become active",
  worker_blocked: "the page's Content-Security-Policy blocks the service worker",
  worker_failed: "the service worker cannot be registered",
  server_timeout: "the site does not answer to the subscription",
  server_unreachable: "the site cannot be reached",
  server_failed: "the site cannot take the subscription now",
  server_refused: "the site refuses the subscription",
};

export type FailureCode = keyof typeof meanings;

/** An error as far as its cause is known: a Failure, or a script that did not load. */
export type Fault = { code?: unknown; status?: number };

/** The detail of `webpush.on("error")`: code is for programs, message for people. */
export class Failure extends Error {
  override readonly name = "WebPushFailure";
  /** HTTP status, if the site answered. */
  readonly status?: number;

  constructor(
    readonly code: FailureCode,
    readonly cause?: unknown,
  ) {
    const { message, status } = (cause || {}) as { message?: string; status?: number };
    super(code + ": " + meanings[code] + (message ? ` (${message})` : ""));
    this.status = status;
  }
}

/** How long browser, push service and site may take, in ms. A browser waits for an
 * unreachable push service as long as it runs. */
const timeLimit = 30_000;

/** Rejects with a Failure of that code if promise takes too long. promise itself is not
 * cancelled: late receives its value then. */
export function withTimeLimit<T>(promise: Promise<T>, code: FailureCode, late?: (value: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Failure(code));
      promise.then(late, () => {});
    }, timeLimit);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** The meaning of a rejection of pushManager.subscribe() (Push API, "subscribe()"). */
export function pushFailure(error: unknown): Failure {
  const codes: Record<string, FailureCode> = {
    AbortError: "push_refused",
    NotAllowedError: "not_allowed",
    InvalidStateError: "key_conflict",
  };
  return new Failure(codes[(error as Partial<Error> | undefined)?.name ?? ""] ?? "push_failed", error);
}

/** The meaning of a rejection of post(). */
export function serverFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const { status } = error as { status?: number };
  return new Failure(!status ? "server_unreachable" : isTransient(status) ? "server_failed" : "server_refused", error);
}
