import assert from "node:assert/strict";
import { test } from "node:test";
import { Queue, waitingBatches } from "../sdk/queue";
import type { SDK } from "../sdk/sdk";
import type { Batch, Entry } from "../shared/entries";
import { listedArea } from "../testing/area";
import { Clock, runPending } from "../testing/clock";
import { consoleOf, define } from "../testing/page";
import { Sender } from "./sender";

/** A server that takes a batch once, and what happens to requests on their way. */
class Server {
  readonly taken: string[] = [];
  readonly requests: { id: string; names: string[]; keepalive: boolean }[] = [];
  private readonly known = new Set<string>();
  /** Answers of the next requests; "cut" and "lost" are network errors before and
   * after the server has done its work. */
  script: (number | "cut" | "lost")[] = [];
  /** How many requests are in progress. */
  busy = 0;
  most = 0;
  hold: Promise<void> | undefined;

  readonly fetch = async (url: string, init: { body: string; keepalive: boolean }) => {
    assert.equal(url, "https://shop.example/_webpush/events");
    const answer = this.script.shift() ?? 204;
    const { batch, events } = JSON.parse(init.body) as Batch;
    const names = events.map((entry) => (entry.type === "event" ? entry.name : entry.type));
    this.requests.push({ id: batch, names, keepalive: init.keepalive });
    this.most = Math.max(this.most, ++this.busy);
    await this.hold;
    this.busy--;
    if (answer === "cut") throw new TypeError("Failed to fetch");
    if ((answer === 204 || answer === "lost") && !this.known.has(batch)) {
      this.known.add(batch);
      this.taken.push(...names);
    }
    if (answer === "lost") throw new TypeError("Failed to fetch");
    return { status: answer, headers: new Headers(answer === 429 ? { "Retry-After": "3" } : {}) };
  };
}

/** Locks by name, one holder at a time. */
function locks() {
  const tails = new Map<string, Promise<unknown>>();
  return {
    request: (name: string, _options: unknown, action: () => Promise<void>) => {
      const result = (tails.get(name) ?? Promise.resolve()).then(action);
      tails.set(name, result.catch(() => {}));
      return result;
    },
  };
}

interface Tab {
  queue: Queue;
  sender: Sender;
  add(...names: string[]): void;
  record(entry: Entry): boolean;
}

function browser(area: Storage | undefined = listedArea(), withLocks = true) {
  const server = new Server();
  const clock = new Clock();
  const frame = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  const navigator = { onLine: true, locks: withLocks ? locks() : undefined };
  const location = new URL("https://shop.example/a/b");
  define({ window: globalThis, location, localStorage: area, navigator, document, fetch: server.fetch, addEventListener: frame.addEventListener.bind(frame) });
  const tab = (): Tab => {
    const queue = new Queue();
    const sdk = { queue, config: { prefix: "/_webpush" }, record: (entry: Entry) => queue.add(entry) };
    const sender = new Sender(sdk as unknown as SDK);
    const record = (entry: Entry) => (queue.add(entry), sender.wake(), true);
    return { queue, sender, record, add: (...names) => names.forEach((name) => record({ type: "event", name })) };
  };
  const online = (onLine: boolean) => {
    navigator.onLine = onLine;
    if (onLine) frame.dispatchEvent(new Event("online"));
  };
  const hide = () => {
    document.visibilityState = "hidden";
    document.dispatchEvent(new Event("visibilitychange"));
  };
  const sleep = () => {
    for (const name of ["pagehide", "pageshow"]) frame.dispatchEvent(new Event(name));
  };
  return { server, clock, tab, online, hide, sleep };
}

test("sender: what comes together goes together, a second later", async () => {
  const { server, clock, tab } = browser();
  const { add } = tab();
  add("a", "b");
  await clock.advance(999);
  assert.equal(server.requests.length, 0);
  await clock.advance(1);
  assert.deepEqual(server.requests.map(({ names, keepalive }) => [names, keepalive]), [[["a", "b"], true]]);
  assert.deepEqual(waitingBatches(), []);
  add("c");
  await clock.advance(1000);
  assert.deepEqual(server.taken, ["a", "b", "c"]);
});

test("sender: an answer that got lost: the same batch again, counted once", async () => {
  const { server, clock, tab } = browser();
  const { add } = tab();
  server.script = ["lost", 503, 429];
  add("a");
  await clock.advance(120_000);
  assert.equal(server.requests.length, 4);
  assert.equal(new Set(server.requests.map(({ id }) => id)).size, 1);
  assert.deepEqual(server.taken, ["a"]);
  assert.deepEqual(waitingBatches(), []);
});

test("sender: while a try is to be repeated, what is added waits with it", async () => {
  const { server, clock, tab } = browser();
  const { add } = tab();
  server.script = [429];
  add("a");
  await clock.advance(1000);
  add("b");
  await clock.advance(1500);
  assert.equal(server.requests.length, 1, "Retry-After is three seconds");
  await clock.advance(2000);
  assert.deepEqual(server.taken, ["a", "b"]);
});

test("sender: offline, it waits for online and sends nothing", async () => {
  const { server, clock, tab, online } = browser();
  const { add } = tab();
  online(false);
  add("a");
  await clock.advance(3_600_000);
  add("b");
  await clock.advance(3_600_000);
  assert.equal(server.requests.length, 0);
  assert.equal(waitingBatches().length, 2);
  online(true);
  await runPending();
  assert.deepEqual(server.taken, ["a", "b"]);
});

test("sender: hidden pages do not wait", async () => {
  const { server, tab, hide } = browser();
  tab().add("a");
  hide();
  await runPending();
  assert.deepEqual(server.taken, ["a"]);
});

test("sender: held back and let go", async () => {
  const { server, clock, tab, hide } = browser();
  const { add, queue, sender } = tab();
  queue.held = true;
  add("a");
  await clock.advance(10_000);
  hide();
  await runPending();
  assert.equal(server.requests.length, 0);
  queue.held = false;
  sender.wake();
  await clock.advance(1000);
  assert.deepEqual(server.taken, ["a"]);
});

test("sender: a page that is gone: the next one sends, after the page's own time", async () => {
  const { server, clock, tab } = browser();
  tab().queue.add({ type: "event", name: "left" });
  await clock.advance(100);
  const next = tab();
  next.add("here");
  await clock.advance(9000);
  assert.equal(server.requests.length, 0, "the other page may be adding to it");
  await clock.advance(2000);
  assert.deepEqual(server.taken, ["left", "here"], "in order");
});

test("sender: a beacon that arrived is sent again by the next page, and counts once", async () => {
  const { server, clock, tab } = browser();
  const gone = tab();
  gone.queue.add({ type: "event", name: "a" });
  const batch = gone.queue.take()!;
  await server.fetch("https://shop.example/_webpush/events", { body: batch.text + "]}", keepalive: true });
  const next = tab();
  await clock.advance(20_000);
  next.sender.wake();
  await clock.advance(1000);
  assert.equal(server.requests.length, 2);
  assert.deepEqual(server.taken, ["a"]);
  assert.deepEqual(waitingBatches(), []);
});

test("sender: two tabs take turns", async () => {
  const { server, clock, tab } = browser();
  const tabs = [tab(), tab()];
  let release = () => {};
  server.hold = new Promise((resolve) => (release = resolve));
  tabs[0]!.add("a");
  tabs[1]!.add("b");
  await clock.advance(1000);
  release();
  await clock.advance(30_000);
  assert.equal(server.most, 1);
  assert.deepEqual([...server.taken].sort(), ["a", "b"]);
  assert.equal(server.requests.length, 2);
});

test("sender: a page that goes to sleep takes no lock along", async () => {
  const { server, clock, tab, sleep } = browser();
  const asleep = tab();
  server.hold = new Promise(() => {});
  asleep.add("a");
  await clock.advance(1000);
  sleep();
  server.hold = undefined;
  tab().add("b");
  await clock.advance(20_000);
  assert.deepEqual(server.taken, ["a", "b"]);
});

test("sender: without locks or storage nothing is counted twice either", async () => {
  const { server, clock, tab } = browser(undefined, false);
  Object.defineProperty(globalThis, "localStorage", {
    get: () => {
      throw new Error("denied");
    },
    configurable: true,
  });
  const { add } = tab();
  server.script = ["lost"];
  add("a");
  await clock.advance(60_000);
  assert.deepEqual(server.requests.map(({ names }) => names), [["a"], ["a"]]);
  assert.deepEqual(server.taken, ["a"]);
});

test("sender: what the server refuses is dropped, and the next goes on", async () => {
  const { server, clock, tab } = browser();
  const { add, queue } = tab();
  server.script = [400];
  queue.add({ type: "event", name: "bad" });
  await clock.advance(9000);
  add("good");
  const { warn } = console;
  const lines: unknown[] = [];
  console.warn = (...words: unknown[]) => void lines.push(words.join(" "));
  await clock.advance(3000);
  console.warn = warn;
  assert.deepEqual(server.taken, ["good"]);
  assert.deepEqual(waitingBatches(), []);
  assert.equal(lines.length, 1);
});

test("sender: an answer that is not our server's: kept, and not sent again on this page", async () => {
  const { server, clock, tab } = browser();
  const { add } = tab();
  server.script = [200];
  add("a");
  await clock.advance(1000);
  add("b");
  await clock.advance(60_000);
  assert.equal(server.requests.length, 1);
  assert.equal(waitingBatches().length, 2);
  tab().sender.wake();
  await clock.advance(1000);
  assert.deepEqual(server.taken, ["a", "b"]);
});

test("sender: a site that has retired: nothing is kept", async () => {
  const { server, clock, tab } = browser();
  const { add } = tab();
  server.script = [410];
  add("a");
  await clock.advance(1000);
  assert.deepEqual(waitingBatches(), []);
  assert.equal(server.requests.length, 1);
});

test("sender: older than a week, it is dropped", async () => {
  const { server, clock, tab } = browser();
  tab().queue.add({ type: "event", name: "old" });
  clock.now += 8 * 24 * 3_600_000;
  tab().add("new");
  await clock.advance(1000);
  assert.deepEqual(server.taken, ["new"]);
});

test("sender: the visit goes along once", async () => {
  const { server, clock, tab } = browser();
  localStorage.setItem("webpush:visit", `${clock.now} https://shop.example/sale https://mail.example/`);
  const { add } = tab();
  add("a");
  add("b");
  await clock.advance(1000);
  assert.deepEqual(server.taken, ["a", "visit", "b"]);
  add("c");
  await clock.advance(1000);
  assert.deepEqual(server.taken, ["a", "visit", "b", "c"]);
});

test("sender: who the visitor was to CleverTap, once", async () => {
  const { server, clock, tab } = browser();
  localStorage.setItem("webpush:ct", '{"id":"0a1b"}');
  const { add } = tab();
  add("a");
  await clock.advance(1000);
  add("b");
  await clock.advance(1000);
  assert.deepEqual(server.taken, ["a", "adopt", "b"]);
});

test("sender: says nothing where all is well", async () => {
  const { clock, tab } = browser();
  const lines = consoleOf(() => tab().add("a"));
  await clock.advance(1000);
  assert.deepEqual(lines, []);
});
