// CleverTap's API on a page whose SDK records its calls.

import type { PromptOptions } from "../sdk/api";
import type { SDK } from "../sdk/sdk";
import type { Call } from "../sdk/stub";
import type { Entry } from "../shared/entries";
import { countVisit } from "../sdk/visit";
import type { CleverTap } from "../compat/clevertap";
import { install } from "../compat/main";
import { define, storageArea } from "./page";

/** The calls of the SDK, in order. */
export let sdkCalls: string[] = [];
/** What the SDK had to record besides events. */
export let entries: unknown[] = [];

/** How the SDK answers. */
export const sdkAnswers = {
  /** record returns this. */
  taken: true,
  /** How the visitor answers the next prompt. */
  answers: [] as string[],
  outcome: "subscribed",
};

/** Makes a page with these items in its storage, and the API on it. */
export function openPage(left: Record<string, unknown> = {}, stubs: Record<string, unknown>[] = [], calls: Call[] = []): CleverTap {
  sdkCalls = [];
  entries = [];
  Object.assign(sdkAnswers, { taken: true, answers: [], outcome: "subscribed" });
  define({
    window: globalThis,
    localStorage: storageArea(),
    sessionStorage: storageArea(),
    location: new URL("https://shop.example/"),
    isSecureContext: true,
    navigator: { serviceWorker: {} },
    PushManager: class {},
    Notification: { permission: "default" },
    document: { readyState: "complete", referrer: "", getElementById: (id: string) => ({ remove: () => sdkCalls.push("remove " + id) }) },
    $WZRK_WR: undefined,
    $CLTP_WR: undefined,
  });
  for (const [name, value] of Object.entries(left)) localStorage.setItem(name, JSON.stringify(value));
  const listeners: [string, () => void][] = [];
  const sdk = {
    queue: { held: false },
    continueVisit: () => countVisit(Date.now()),
    event: (name: string) => (sdkCalls.push("event " + name), sdkAnswers.taken),
    record: (entry: Entry) => (entries.push(entry), sdkAnswers.taken),
    profile: (values: unknown) => entries.push(values),
    privacy: ({ optOut }: { optOut: boolean }) => sdkCalls.push("privacy " + optOut),
    raise: (act: string, details?: { msgId: string }) => void sdkCalls.push(act + " " + (details?.msgId ?? "the last one")),
    send: () => sdkCalls.push("send"),
    pageSeen: () => sdkCalls.push("page"),
    logout: async () => void sdkCalls.push("logout"),
    unsubscribe: async () => void sdkCalls.push("unsubscribe"),
    subscribe: async () => (sdkCalls.push("subscribe"), sdkAnswers.outcome),
    prompt: async (options: PromptOptions) => {
      sdkCalls.push("prompt " + Object.values(options).filter((value) => value !== undefined).join());
      for (const [event, listener] of [...listeners]) if (sdkAnswers.answers.includes(event)) listener();
      return sdkAnswers.outcome;
    },
    on: (event: string, listener: () => void) => {
      listeners.push([event, listener]);
      return () => listeners.splice(listeners.findIndex(([, l]) => l === listener), 1);
    },
  };
  const api = install(sdk as unknown as SDK, {} as never, stubs, calls);
  api.init("TEST-ID");
  return api;
}

/** For names that the types lack. */
export type Any = Record<string, any>;

/** Resolves when pending promises have run. */
export const runPending = () => new Promise((resolve) => setTimeout(resolve));
