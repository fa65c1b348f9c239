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
export let did: string[] = [];
/** What the SDK had to record besides events. */
export let entries: unknown[] = [];

/** How the SDK answers. */
export const says = {
  /** Whether it records. */
  taken: true,
  /** How the visitor answers the next prompt. */
  answers: [] as string[],
  outcome: "subscribed",
};

/** Makes a page with these items in its storage, and the API on it. */
export function openPage(left: Record<string, unknown> = {}, stubs: Record<string, unknown>[] = [], calls: Call[] = []): CleverTap {
  did = [];
  entries = [];
  Object.assign(says, { taken: true, answers: [], outcome: "subscribed" });
  define({
    window: globalThis,
    localStorage: storageArea(),
    sessionStorage: storageArea(),
    location: new URL("https://shop.example/"),
    isSecureContext: true,
    navigator: { serviceWorker: {} },
    PushManager: class {},
    Notification: { permission: "default" },
    document: { readyState: "complete", referrer: "", getElementById: (id: string) => ({ remove: () => did.push("remove " + id) }) },
    $WZRK_WR: undefined,
    $CLTP_WR: undefined,
  });
  for (const [name, value] of Object.entries(left)) localStorage.setItem(name, JSON.stringify(value));
  const listeners: [string, () => void][] = [];
  const sdk = {
    queue: { held: false },
    continueVisit: () => countVisit(Date.now()),
    event: (name: string) => (did.push("event " + name), says.taken),
    record: (entry: Entry) => (entries.push(entry), says.taken),
    profile: (values: unknown) => entries.push(values),
    privacy: ({ optOut }: { optOut: boolean }) => did.push("privacy " + optOut),
    raise: (act: string, of?: { msgId: string }) => void did.push(act + " " + (of?.msgId ?? "the last one")),
    send: () => did.push("send"),
    pageSeen: () => did.push("page"),
    logout: async () => void did.push("logout"),
    unsubscribe: async () => void did.push("unsubscribe"),
    subscribe: async () => (did.push("subscribe"), says.outcome),
    prompt: async (options: PromptOptions) => {
      did.push("prompt " + Object.values(options).filter((value) => value !== undefined).join());
      for (const [event, listener] of [...listeners]) if (says.answers.includes(event)) listener();
      return says.outcome;
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
