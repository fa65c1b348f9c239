import assert from "node:assert/strict";
import { test } from "node:test";
import { listedArea } from "../testing/area";
import { Clock } from "../testing/clock";
import { define } from "../testing/page";
import { batchBody, Queue, waitingBatches } from "./queue";
import { local } from "./storage";

function useStorage(area: Storage = listedArea()): Clock {
  define({ window: globalThis, localStorage: area });
  return new Clock();
}

const named = (name: string) => ({ type: "event" as const, name });

/** Names of the entries in a batch's text. */
const names = (text: string) => JSON.parse(text + "]}").events.map((entry: { name: string }) => entry.name);

test("queue: a batch in storage is what is sent, but for its end", () => {
  const clock = useStorage();
  const queue = new Queue();
  assert.ok(queue.add(named("a")));
  clock.now += 5;
  assert.ok(queue.add(named("b")));
  const [name] = waitingBatches();
  const { batch, session, sent, events } = JSON.parse(batchBody(local.get(name!)));
  assert.ok(/^[\w-]{22}$/.test(batch), batch);
  assert.equal(session, queue.session());
  assert.equal(sent, clock.now);
  assert.deepEqual(events, [
    { time: clock.now - 5, type: "event", name: "a" },
    { time: clock.now, type: "event", name: "b" },
  ]);
  assert.equal(queue.take()!.name, name);
  assert.equal(queue.take(), undefined);
});

test("queue: an entry's own time counts", () => {
  useStorage();
  const queue = new Queue();
  queue.add({ type: "visit", page: "/", time: 7 });
  assert.equal(JSON.parse(queue.take()!.text + "]}").events[0].time, 7);
});

test("queue: what was taken is not added to", () => {
  useStorage();
  const queue = new Queue();
  queue.add(named("a"));
  const first = queue.take()!;
  queue.add(named("b"));
  const second = queue.take()!;
  assert.notEqual(first.name, second.name);
  assert.deepEqual([names(first.text), names(second.text)], [["a"], ["b"]]);
});

test("queue: an old batch is left alone, since another tab may send it", () => {
  const clock = useStorage();
  const queue = new Queue();
  queue.add(named("a"));
  clock.now += 8001;
  queue.add(named("b"));
  assert.equal(waitingBatches().length, 2);
  assert.deepEqual(waitingBatches().map((name) => names(local.get(name))), [["a"], ["b"]]);
});

test("queue: sent by another tab while this one slept", () => {
  const clock = useStorage();
  const queue = new Queue();
  queue.add(named("a"));
  localStorage.clear();
  clock.now += 60_000;
  queue.add(named("b"));
  assert.deepEqual(names(queue.take()!.text), ["b"]);
});

test("queue: two tabs at the same time lose nothing", () => {
  useStorage();
  const tabs = [new Queue(), new Queue()];
  for (let i = 0; i < 20; i++) tabs[i % 2]!.add(named(String(i)));
  const all = waitingBatches().flatMap((name) => names(local.get(name)));
  assert.equal(all.length, 20);
  assert.equal(new Set(all).size, 20);
});

test("queue: 200 entries in a batch, and the next one in another", () => {
  useStorage();
  const queue = new Queue();
  for (let i = 0; i < 201; i++) assert.ok(queue.add(named("e")));
  assert.deepEqual(waitingBatches().map((name) => names(local.get(name)).length).sort(), [1, 200]);
});

test("queue: full at 60,000 characters", () => {
  useStorage();
  const queue = new Queue();
  let added = 0;
  while (queue.add(named("x".repeat(1000)))) added++;
  assert.ok(added > 50 && added < 60, String(added));
  assert.ok(!queue.add(named("x".repeat(1000))));
  assert.ok(waitingBatches().every((name) => local.get(name).length < 17_000), "batches fit the server's 64 KiB in any language");
});

for (const [name, area] of [["no storage", undefined], ["full storage", listedArea(0)]] as const) {
  test("queue: " + name + ": kept as long as the page", () => {
    const clock = useStorage(area);
    if (!area) {
      Object.defineProperty(globalThis, "localStorage", {
        get: () => {
          throw new Error("denied");
        },
        configurable: true,
      });
    }
    const queue = new Queue();
    queue.add(named("a"));
    clock.now += 20_000;
    queue.add(named("b"));
    const batch = queue.take()!;
    assert.equal(batch.stored, false);
    assert.deepEqual(names(batch.text), ["a", "b"]);
    for (let i = 0; i < 200; i++) queue.add(named("e"));
    assert.ok(!queue.add(named("e")), "bounded here too");
  });
}

test("queue: what JSON cannot express adds nothing", () => {
  useStorage();
  const queue = new Queue();
  const loop: Record<string, unknown> = {};
  loop.loop = loop;
  assert.throws(() => queue.add({ type: "event", name: "a", props: loop }));
  assert.equal(queue.take(), undefined);
  queue.add(named("b"));
  assert.deepEqual(names(queue.take()!.text), ["b"]);
});
