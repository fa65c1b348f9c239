import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config } from "../shared/wire";
import { Clock, runPending } from "../testing/clock";
import { define, storageArea } from "../testing/page";
import { connect, disconnect } from "./subscription";

const key = "BPQ" + "A".repeat(84);
const config = { key, worker: "/sw.js", prefix: "/_webpush", scope: "/" } as Config;

const all: Browser[] = [];

/** A browser in which the test answers each subscribe(). */
class Browser {
  readonly posted: string[] = [];
  /** Calls of subscribe() without an answer. */
  readonly asked: { resolve(): void; reject(error: unknown): void }[] = [];
  current: object | null = null;
  ended = 0;
  answer: () => Promise<{ status: number }> = async () => ({ status: 201 });
  register: () => Promise<unknown> = async () => this.registration;
  worker = Object.assign(new EventTarget(), { state: "activated", scriptURL: "https://site.example/sw.js" });
  readonly online: (() => void)[] = [];

  private readonly subscription = {
    endpoint: "https://push.example/1",
    options: {},
    toJSON: () => ({ endpoint: "https://push.example/1", keys: { auth: "a", p256dh: "p" } }),
    unsubscribe: async () => {
      this.ended++;
      this.current = null;
      return true;
    },
  };
  readonly registration = {
    scope: "https://site.example/",
    active: this.worker,
    update: async () => {},
    pushManager: {
      getSubscription: async () => this.current,
      subscribe: () =>
        new Promise((resolve, reject) => {
          this.asked.push({ resolve: () => resolve((this.current = this.subscription)), reject });
        }),
    },
  };
  registered = true;

  constructor() {
    all.push(this);
    define({
      window: globalThis,
      document: new EventTarget(),
      location: { origin: "https://site.example", pathname: "/" },
      navigator: {
        language: "en",
        serviceWorker: {
          getRegistration: async () => (this.registered ? this.registration : undefined),
          register: () => this.register(),
        },
      },
      localStorage: storageArea(),
      sessionStorage: storageArea(),
      addEventListener: (name: string, listener: () => void) => name === "online" && this.online.push(listener),
      fetch: async (url: string) => {
        this.posted.push(url.replace("https://site.example/_webpush/", ""));
        const { status } = await this.answer();
        return { status, headers: new Headers(), json: async () => ({}) };
      },
    });
  }
}

/** Ends what the test before has left waiting, and forgets what it stored. */
async function page(): Promise<{ connect: typeof connect; disconnect: typeof disconnect }> {
  all.flatMap(({ asked }) => asked).forEach(({ reject }) => reject(new Error("the page is gone")));
  await runPending();
  await disconnect(config, () => {});
  return { connect, disconnect };
}

const outcome = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error) => error.code);

test("connect: a push service that does not answer, and then does", async () => {
  const clock = new Clock();
  const browser = new Browser();
  const { connect } = await page();
  let late = 0;
  const first = outcome(connect(config, true, () => late++));
  await clock.advance(29_000);
  assert.equal(browser.asked.length, 1);
  await clock.advance(1000);
  assert.equal(await first, "push_timeout");
  // The next attempt waits for the same answer.
  const second = outcome(connect(config, false, () => late++));
  await clock.advance(30_000);
  assert.equal(await second, "push_timeout");
  assert.deepEqual([browser.asked.length, browser.posted.length, late], [1, 0, 0]);
  browser.asked[0]!.resolve();
  await runPending();
  assert.equal(late, 2);
  // The callback calls connect again, which succeeds.
  assert.deepEqual([await connect(config, false), await connect(config, false)], [true, false]);
  assert.deepEqual(browser.posted, ["subscribe"]);
});

test("connect: who has left before the push service answers stays out", async () => {
  const clock = new Clock();
  const browser = new Browser();
  const { connect, disconnect } = await page();
  let late = 0;
  const first = outcome(connect(config, true, () => late++));
  await clock.advance(30_000);
  assert.equal(await first, "push_timeout");
  await disconnect(config, () => {});
  browser.asked[0]!.resolve();
  await runPending();
  assert.deepEqual([late, browser.ended, browser.posted.length], [0, 1, 0]);
});

test("connect: and who has come back by then is in", async () => {
  const clock = new Clock();
  const browser = new Browser();
  const { connect, disconnect } = await page();
  void outcome(connect(config, true));
  await clock.advance(30_000);
  await disconnect(config, () => {});
  const again = connect(config, true);
  await runPending();
  browser.asked[0]!.resolve();
  assert.equal(await again, true);
  assert.deepEqual([browser.ended, browser.posted], [0, ["subscribe"]]);
});

const refusals: [string, string][] = [
  ["AbortError", "push_refused"],
  ["NotAllowedError", "not_allowed"],
  ["InvalidStateError", "key_conflict"],
  ["NotSupportedError", "push_failed"],
];

for (const [name, code] of refusals) {
  test(`connect: ${name} is ${code}, and the next try is a new one`, async () => {
    new Clock();
    const browser = new Browser();
    const { connect } = await page();
    const first = connect(config, true);
    await runPending();
    browser.asked[0]!.reject(new DOMException("Registration failed - push service error", name));
    const error = await first.catch((error) => error);
    assert.equal(error.code, code);
    assert.equal(/^WebPushFailure: \w+: .*\(Registration failed - push service error\)$/.test(String(error)), true);
    const second = connect(config, true);
    await runPending();
    browser.asked[1]!.resolve();
    assert.equal(await second, true);
  });
}

const answers: [string, () => Promise<{ status: number }>, string, number][] = [
  ["the site refuses", async () => ({ status: 403 }), "server_refused", 403],
  ["the site has retired push", async () => ({ status: 410 }), "server_refused", 410],
  ["the site's start page", async () => ({ status: 200 }), "server_refused", 200],
  ["the site fails", async () => ({ status: 503 }), "server_failed", 503],
  ["no network", async () => Promise.reject(new TypeError("Failed to fetch")), "server_unreachable", 0],
  ["no answer", () => new Promise(() => {}), "server_timeout", 0],
];

for (const [name, answer, code, status] of answers) {
  test("connect: " + name, async () => {
    const clock = new Clock();
    const browser = new Browser();
    browser.answer = answer;
    const { connect } = await page();
    const first = connect(config, true).catch((error) => error);
    await runPending();
    browser.asked[0]!.resolve();
    await clock.advance(60_000);
    const error = await first;
    assert.deepEqual([error.code, error.status ?? 0], [code, status]);
    assert.equal(browser.online.length, code === "server_unreachable" ? 1 : 0);
    browser.answer = async () => ({ status: 201 });
    assert.equal(await connect(config, false), true);
  });
}

test("connect: an answer after the limit calls late", async () => {
  const clock = new Clock();
  const browser = new Browser();
  let release = () => {};
  browser.answer = () => new Promise((resolve) => (release = () => resolve({ status: 201 })));
  const { connect } = await page();
  let late = 0;
  const first = outcome(connect(config, true, () => late++));
  await runPending();
  browser.asked[0]!.resolve();
  await clock.advance(30_000);
  assert.equal(await first, "server_timeout");
  release();
  await runPending();
  assert.equal(late, 1);
});

test("connect: a worker that never comes, and one that never becomes active", async () => {
  const clock = new Clock();
  const browser = new Browser();
  browser.registered = false;
  browser.register = () => new Promise(() => {});
  const { connect } = await page();
  const fetched = outcome(connect(config, true));
  await clock.advance(30_000);
  assert.equal(await fetched, "worker_timeout");
  browser.registered = true;
  browser.worker.state = "installing";
  let late = 0;
  const installed = outcome(connect(config, true, () => late++));
  await clock.advance(30_000);
  assert.equal(await installed, "worker_timeout");
  // It becomes active after all.
  browser.worker.state = "activated";
  browser.worker.dispatchEvent(new Event("statechange"));
  await runPending();
  assert.equal(late, 1);
  browser.worker.state = "redundant";
  assert.equal(await outcome(connect(config, true)), "worker_failed");
  assert.equal(browser.asked.length, 0);
});

test("disconnect: a push service that does not answer does not prevent it", async () => {
  const clock = new Clock();
  const browser = new Browser();
  const { connect, disconnect } = await page();
  const first = connect(config, true);
  await runPending();
  browser.asked[0]!.resolve();
  await first;
  (browser.current as PushSubscription).unsubscribe = () => new Promise(() => {});
  const gone = disconnect(config, () => {});
  await clock.advance(10_000);
  await gone;
  assert.deepEqual(browser.posted, ["subscribe", "unsubscribe"]);
});
