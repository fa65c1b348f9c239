import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config } from "../shared/wire";
import { decide, isDue, leaveIfGone, readAnswer, type Finding } from "./leave";

const now = 1_800_000_000_000;
const hour = 3_600_000;

const answers: [number, string | null, Finding][] = [
  [404, "text/html", "absent"],
  [410, null, "absent"],
  [200, "text/html; charset=utf-8", "page"],
  [200, "application/xhtml+xml", "page"],
  [200, "text/javascript; charset=utf-8", "other"],
  [200, "text/plain", "other"],
  [200, null, "other"],
  [0, null, "other"],
  [204, null, "other"],
  [302, "text/html", "other"],
  [401, "text/html", "other"],
  [403, "text/html", "other"],
  [405, "text/html", "other"],
  [429, "text/html", "other"],
  [451, "text/html", "other"],
  [500, "text/html", "other"],
  [503, "text/html", "other"],
];

for (const [status, type, want] of answers) {
  test(`readAnswer: ${status} ${type}`, () => assert.equal(readAnswer(status, type), want));
}

test("isDue looks again after six hours, and after any jump of the clock", () => {
  assert.equal(isDue({ at: 0, since: 0 }, now), true);
  assert.equal(isDue({ at: now - 1, since: 0 }, now), false);
  assert.equal(isDue({ at: now - 6 * hour + 1, since: 0 }, now), false);
  assert.equal(isDue({ at: now - 6 * hour, since: 0 }, now), true);
  assert.equal(isDue({ at: now + 365 * 24 * hour, since: 0 }, now), true);
});

const never = { at: 0, since: 0 };
const dayAgo = { at: now - 7 * hour, since: now - 24 * hour };
const lately = { at: now - 7 * hour, since: now - 23 * hour };

const decisions: [string, Finding, Finding, boolean, typeof never, typeof never | undefined][] = [
  ["both absent", "absent", "absent", false, never, undefined],
  ["both absent, a notification on display", "absent", "absent", true, never, { at: 0, since: now }],
  ["both absent for a day, a notification on display", "absent", "absent", true, dayAgo, { at: 0, since: dayAgo.since }],
  ["only the worker absent", "absent", "other", false, dayAgo, { at: now, since: 0 }],
  ["only the SDK absent", "other", "absent", false, dayAgo, { at: now, since: 0 }],
  ["nothing to be learnt", "other", "other", false, dayAgo, { at: now, since: 0 }],
  ["pages at first", "page", "page", false, never, { at: now, since: now }],
  ["pages for less than a day", "page", "page", false, lately, { at: now, since: lately.since }],
  ["pages for a day", "page", "page", false, dayAgo, undefined],
  ["pages for a day, a notification on display", "page", "page", true, dayAgo, { at: 0, since: dayAgo.since }],
  ["a page and nothing", "page", "absent", false, never, { at: now, since: now }],
  ["nothing and a page, for a day", "absent", "page", false, dayAgo, undefined],
  ["pages, noted by a clock that ran ahead", "page", "page", false, { at: 0, since: now + hour }, { at: now, since: now }],
];

for (const [name, worker, sdk, showing, note, want] of decisions) {
  test("decide: " + name, () => assert.deepEqual(decide(worker, sdk, showing, note, now), want));
}

/** Runs leaveIfGone in a scope of its own and lists what it did. */
async function run(config: Partial<Config>, registration: object, answer: () => Promise<unknown>): Promise<string[]> {
  const did: string[] = [];
  const scope = {
    registration: {
      active: { scriptURL: "https://site.example/sw.js" },
      getNotifications: async () => [],
      pushManager: { getSubscription: async () => null },
      unregister: async () => did.push("unregister"),
      ...registration,
    },
  };
  Object.assign(globalThis, {
    self: scope,
    location: new URL("https://site.example/sw.js"),
    caches: {
      match: async () => undefined,
      open: async () => ({ put: async () => did.push("note") }),
      delete: async () => true,
    },
    fetch: (url: string) => (did.push("look " + url), answer()),
  });
  await leaveIfGone({ prefix: "/_webpush", key: "AQID", ...config } as Config);
  return did;
}

const gone = async () => new Response(null, { status: 404 });
const looks = ["look https://site.example/sw.js", "look https://site.example/_webpush/sdk.js"];
const alone = { standalone: true };

const subscription = (key: number[], did: string[] = []) => ({
  pushManager: {
    getSubscription: async () => ({
      options: { applicationServerKey: Uint8Array.from(key).buffer },
      unsubscribe: async () => did.push("unsubscribe"),
    }),
  },
});

test("leaveIfGone: gone", async () => {
  assert.deepEqual(await run(alone, {}, gone), [...looks, "unregister"]);
  const ended: string[] = [];
  assert.deepEqual(await run(alone, subscription([1, 2, 3], ended), gone), [...looks, "unregister"]);
  assert.deepEqual(ended, ["unsubscribe"]);
});

test("leaveIfGone: what is not ours alone stays", async () => {
  assert.deepEqual(await run({}, {}, gone), []);
  assert.deepEqual(await run(alone, { waiting: {} }, gone), []);
  assert.deepEqual(await run(alone, { installing: {} }, gone), []);
  assert.deepEqual(await run(alone, { active: { scriptURL: "https://site.example/own.js" } }, gone), []);
  const ended: string[] = [];
  assert.deepEqual(await run(alone, subscription([9, 9, 9], ended), gone), looks);
  assert.deepEqual(ended, []);
});

test("leaveIfGone: a subscription of an earlier key of ours goes", async () => {
  assert.deepEqual(await run({ ...alone, oldKeys: ["CQkJ"] }, subscription([9, 9, 9]), gone), [...looks, "unregister"]);
});

test("leaveIfGone: no network, no sign", async () => {
  assert.deepEqual(await run(alone, {}, async () => Promise.reject(new TypeError("offline"))), [looks[0]!]);
  assert.deepEqual(await run(alone, {}, async () => new Response(null, { status: 503 })), [looks[0]!, "note"]);
});

test("leaveIfGone: the last notification still works", async () => {
  const showing = { getNotifications: async () => [{ data: { webpush: true, message: "m" } }, { data: null }] };
  assert.deepEqual(await run(alone, showing, gone), [...looks, "note"]);
});
