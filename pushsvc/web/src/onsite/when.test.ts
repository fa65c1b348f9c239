import assert from "node:assert/strict";
import { test } from "node:test";
import { Events, triggered } from "../sdk/triggers";
import { Clock, runPending } from "../testing/clock";
import { define } from "../testing/page";
import { inView } from "./visibility";
import { due, type When } from "./when";

function page(when: When) {
  const clock = new Clock();
  const frame = new EventTarget();
  const root = Object.assign(new EventTarget(), { scrollTop: 0, scrollHeight: 3000, clientHeight: 1000 });
  define({
    addEventListener: frame.addEventListener.bind(frame),
    document: Object.assign(new EventTarget(), { documentElement: root, scrollingElement: root, visibilityState: "visible" }),
    matchMedia: () => ({ matches: false }),
    scrollY: 0,
  });
  const events = new Events();
  const controller = new AbortController();
  let fired = 0;
  void due(when, triggered, events, controller.signal).then(() => fired++);
  return {
    after: (ms: number) => clock.advance(ms),
    move: () => void frame.dispatchEvent(new Event("mousemove")),
    scroll: (y: number) => {
      root.scrollTop = y;
      frame.dispatchEvent(new Event("scroll"));
    },
    event: (name: string) => events.add(name),
    leave: () => void root.dispatchEvent(Object.assign(new Event("mouseleave"), { clientY: -1, relatedTarget: null })),
    abort: () => controller.abort(),
    fired: async () => (await runPending(), fired),
  };
}
type Page = ReturnType<typeof page>;

const rows: [string, When, (p: Page) => unknown, number][] = [
  ["nothing: at once", {}, () => {}, 1],
  ["seconds: before", { seconds: 5 }, (p) => p.after(4999), 0],
  ["seconds: then", { seconds: 5 }, (p) => p.after(5000), 1],
  ["idle: then", { idle: 5 }, (p) => p.after(5000), 1],
  ["idle: not while something is done", { idle: 5 }, async (p) => (await p.after(4000), p.move(), await p.after(4000)), 0],
  ["idle: after that", { idle: 5 }, async (p) => (await p.after(4000), p.move(), await p.after(5000)), 1],
  ["exit", { exit: true }, (p) => p.leave(), 1],
  ["event", { event: "added" }, (p) => p.event("added"), 1],
  ["scroll: short of it", { scroll: 50 }, (p) => p.scroll(900), 0],
  ["scroll: as far", { scroll: 50 }, (p) => p.scroll(1000), 1],
  ["the first of several, and only once", { seconds: 5, scroll: 50, exit: true }, async (p) => (p.scroll(1500), p.leave(), await p.after(9000)), 1],
  ["seconds before another that does not come", { seconds: 5, event: "added" }, (p) => p.after(5000), 1],
  ["gone to another page: never", { seconds: 5, idle: 5, exit: true }, async (p) => (p.abort(), p.leave(), await p.after(9000)), 0],
];

for (const [name, when, act, want] of rows) {
  test("due: " + name, async () => {
    const p = page(when);
    await act(p);
    assert.equal(await p.fired(), want);
  });
}

test("inView: half of it, or half of the view", () => {
  assert.deepEqual(
    [
      inView(0.5, 100, 1000),
      inView(0.49, 100, 1000),
      inView(0.3, 500, 1000),
      inView(0.3, 499, 1000),
      inView(0, 0, 0),
    ],
    [true, false, true, false, false],
  );
});
