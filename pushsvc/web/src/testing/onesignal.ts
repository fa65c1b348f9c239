// OneSignal's API on a page whose SDK records its calls.

import { OneSignal } from "../onesignal/onesignal";
import { takeOver } from "../onesignal/main";
import type { SDK } from "../sdk/sdk";
import { define, storageArea } from "./page";

/** For names that the types lack. */
export type Any = Record<string, any>;

/** A page with the API on it. */
export interface Page {
  api: Any;
  window: Any;
  /** The calls of the SDK, in order. */
  sdkCalls: unknown[];
  config: Any;
  /** Emits an event of the SDK. */
  say(event: string): void;
  /** The browser's answer to the next question. */
  answers: { permission: NotificationPermission; endpoint: string };
  /** Posts a message of the worker. */
  post(message: unknown): void;
  /** What the worker was asked. */
  asked: unknown[];
}

/** Makes a page with these items in our storage, these globals and site settings. */
export function page(given: { left?: Any; globals?: Any; prompt?: Any; permission?: NotificationPermission; click?: boolean } = {}): Page {
  const sdkCalls: unknown[] = [];
  const asked: unknown[] = [];
  const answers = { permission: "granted" as NotificationPermission, endpoint: "https://push.example/1" };
  const notification = { permission: given.permission ?? "default" };
  const worker = Object.assign(new EventTarget(), {
    startMessages: () => {},
    getRegistration: async () => ({ scope: "https://shop.example/", active: { postMessage: (message: unknown) => asked.push(message) } }),
  });
  define({
    window: globalThis,
    localStorage: storageArea(),
    sessionStorage: storageArea(),
    location: new URL("https://shop.example/"),
    isSecureContext: true,
    navigator: { serviceWorker: worker, language: "de-DE", userActivation: { isActive: given.click ?? true } },
    PushManager: class {},
    Notification: notification,
    addEventListener: () => {},
  });
  const window = globalThis as unknown as Any;
  for (const name of ["OneSignal", "OneSignalDeferred"]) {
    delete window[name];
    if (given.globals && name in given.globals) window[name] = given.globals[name];
  }
  localStorage.setItem("webpush:visit", "1 https://shop.example/");
  for (const [name, value] of Object.entries(given.left ?? {})) localStorage.setItem(name, typeof value === "string" ? value : JSON.stringify(value));
  const listeners: [string, () => void][] = [];
  const say = (event: string) => listeners.forEach(([name, listener]) => name === event && listener());
  const subscribe = () => {
    notification.permission = answers.permission;
    if (answers.permission !== "granted") return say("denied");
    localStorage.removeItem("webpush:out");
    localStorage.setItem("webpush:sub", JSON.stringify({ endpoint: answers.endpoint }));
    say("subscribed");
  };
  const unsubscribe = () => {
    localStorage.removeItem("webpush:sub");
    say("unsubscribed");
  };
  const config: Any = { scope: "/", prompt: given.prompt };
  const sdk = {
    config,
    queue: { held: false },
    decideAgain: () => sdkCalls.push("again"),
    send: () => sdkCalls.push("send"),
    record: (entry: unknown) => (sdkCalls.push(entry), true),
    event: (name: string, props?: unknown) => (sdkCalls.push(["event", name, props]), true),
    login: (who: unknown) => sdkCalls.push(["login", who]),
    logout: async () => (sdkCalls.push("logout"), unsubscribe()),
    subscribe: async () => (sdkCalls.push("subscribe"), subscribe()),
    unsubscribe: async () => (sdkCalls.push("unsubscribe"), localStorage.setItem("webpush:out", "1"), unsubscribe()),
    prompt: async (options: unknown) => void sdkCalls.push(["prompt", options]),
    on: (event: string, listener: () => void) => listeners.push([event, listener]),
  };
  const api = new OneSignal(sdk as unknown as SDK);
  takeOver(api);
  return {
    api: api as Any,
    window,
    sdkCalls,
    config,
    say,
    answers,
    post: (data) => worker.dispatchEvent(new MessageEvent("message", { data })),
    asked,
  };
}

/** Resolves when pending promises have run. */
export const runPending = () => new Promise((resolve) => setTimeout(resolve));
