import assert from "node:assert/strict";
import { test } from "node:test";
import { define } from "../testing/page";
import { withTabLock } from "./tab_lock";

type Options = { signal?: AbortSignal };

/** The browser's locks, shared by its tabs: one holder, the others in their order. */
class Locks {
  names: string[] = [];
  private tail: Promise<unknown> = Promise.resolve();

  request(name: string, { signal }: Options, callback: () => Promise<unknown>): Promise<unknown> {
    this.names.push(name);
    const aborted = new Promise<never>((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
    let granted = false;
    const mine = this.tail.then(() => {
      granted = true;
      return signal?.aborted ? undefined : callback();
    });
    this.tail = mine.catch(() => {});
    return Promise.race([mine, aborted.catch((reason) => (granted ? mine : Promise.reject(reason)))]);
  }
}

const runPending = () => new Promise((resolve) => setImmediate(resolve));

/** An action that records its begin and its end, and ends by a call. */
function action(name: string, log: string[]) {
  let end = () => {};
  const run = () => {
    log.push(name + " begins");
    return new Promise<string>((resolve) => {
      end = () => (log.push(name + " ends"), resolve(name));
    });
  };
  return { run, end: () => end() };
}

test("withTabLock: two tabs, one after the other", async () => {
  const locks = new Locks();
  define({ navigator: { locks } });
  const log: string[] = [];
  const [a, b] = [action("a", log), action("b", log)];
  const both = Promise.all([withTabLock(a.run), withTabLock(b.run)]);
  await runPending();
  assert.deepEqual(log, ["a begins"]);
  a.end();
  await runPending();
  b.end();
  assert.deepEqual(await both, ["a", "b"]);
  assert.deepEqual(log, ["a begins", "a ends", "b begins", "b ends"]);
  assert.deepEqual(locks.names, ["webpush", "webpush"]);
});

test("withTabLock: a tab that never ends delays the others for half a minute", async () => {
  define({ navigator: { locks: new Locks() } });
  const limits: AbortController[] = [];
  const { timeout } = AbortSignal;
  AbortSignal.timeout = (ms) => {
    assert.equal(ms, 30_000);
    limits.push(new AbortController());
    return limits[limits.length - 1]!.signal;
  };
  const log: string[] = [];
  const [a, b] = [action("a", log), action("b", log)];
  void withTabLock(a.run);
  const second = withTabLock(b.run);
  await runPending();
  limits[1]!.abort();
  await runPending();
  b.end();
  assert.equal(await second, "b");
  assert.deepEqual(log, ["a begins", "b begins", "b ends"]);
  AbortSignal.timeout = timeout;
});

test("withTabLock: an action's own error is passed on, and it runs once", async () => {
  define({ navigator: { locks: new Locks() } });
  let runs = 0;
  const fault = await withTabLock(async () => {
    runs++;
    throw new Error("own");
  }).catch((error: Error) => error.message);
  assert.deepEqual([fault, runs], ["own", 1]);
});

const none: [string, unknown][] = [
  ["no locks", {}],
  ["locks that are refused", { locks: { request: async () => Promise.reject(new DOMException("", "SecurityError")) } }],
];

for (const [name, navigator] of none) {
  test("withTabLock: " + name, async () => {
    define({ navigator });
    assert.equal(await withTabLock(async () => "done"), "done");
  });
}
