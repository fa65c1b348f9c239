import assert from "node:assert/strict";
import { test } from "node:test";
import { define } from "../testing/page";
import type { After } from "../shared/wire";
import { Events, hurriedUp, leavesRoom, leftByTop, triggered, wasAway } from "./triggers";

/** Browsers throw at an invalid selector, wherever they receive it. */
function querySelector(selector: string): null {
  if (selector === ">>") throw new SyntaxError(selector);
  return null;
}

/** A page to act on: returns its acts, and whether the trigger fired. */
function page(after: After, coarse = false) {
  const frame = new EventTarget();
  const root = Object.assign(new EventTarget(), { scrollTop: 0, scrollHeight: 3000, clientHeight: 1000 });
  const document = Object.assign(new EventTarget(), { documentElement: root, scrollingElement: root, visibilityState: "visible", querySelector });
  class Element extends EventTarget {
    closest(selector: string): unknown {
      querySelector(selector);
      return selector === "#buy" ? this : null;
    }
  }
  const clock = { now: 1_800_000_000_000 };
  Date.now = () => clock.now;
  define({
    document,
    Element,
    scrollY: 0,
    addEventListener: frame.addEventListener.bind(frame),
    matchMedia: () => ({ matches: coarse }),
  });
  const events = new Events();
  const controller = new AbortController();
  const state = { fired: false };
  void triggered(after, events, controller.signal).then(() => (state.fired = true));
  const act = {
    scroll: (y: number, after: number) => {
      clock.now += after;
      root.scrollTop = y;
      define({ scrollY: y });
      frame.dispatchEvent(new Event("scroll"));
    },
    leave: (clientY: number, relatedTarget: unknown = null) =>
      root.dispatchEvent(Object.assign(new Event("mouseleave"), { clientY, relatedTarget })),
    tab: (visibilityState: string, after = 0) => {
      clock.now += after;
      document.visibilityState = visibilityState;
      document.dispatchEvent(new Event("visibilitychange"));
    },
    click: (inside: boolean) => {
      const event = new Event("click");
      const target = new Element();
      if (!inside) target.closest = () => null;
      Object.defineProperty(event, "target", { value: target });
      document.dispatchEvent(event);
    },
    event: (name: string) => events.add(name),
    abort: () => controller.abort(),
  };
  return { act, fired: () => new Promise((resolve) => setTimeout(() => resolve(state.fired))) };
}

type Act = ReturnType<typeof page>["act"];

const rows: [string, After, boolean, (act: Act) => void, boolean][] = [
  ["without triggers: at once", { pages: 2 }, false, () => {}, true],
  ["scroll: short of it", { scroll: 50 }, false, (a) => a.scroll(999, 10), false],
  ["scroll: as far", { scroll: 50 }, false, (a) => a.scroll(1000, 10), true],
  ["click: elsewhere", { click: "#buy" }, false, (a) => a.click(false), false],
  ["click: there", { click: "#buy" }, false, (a) => a.click(true), true],
  ["event: another", { event: "added" }, false, (a) => a.event("removed"), false],
  ["event: that one", { event: "added" }, false, (a) => a.event("added"), true],
  ["exit: by the top", { exit: true }, false, (a) => a.leave(-1), true],
  ["exit: by the side", { exit: true }, false, (a) => a.leave(300), false],
  ["exit: into something", { exit: true }, false, (a) => a.leave(-1, {}), false],
  ["exit: a mouse that scrolls up in a hurry", { exit: true }, false, (a) => (a.scroll(2000, 100), a.scroll(0, 100)), false],
  ["exit: a finger that scrolls up in a hurry", { exit: true }, true, (a) => (a.scroll(2000, 100), a.scroll(1000, 100), a.scroll(0, 100)), true],
  ["exit: a finger that reads upwards", { exit: true }, true, (a) => (a.scroll(2000, 100), a.scroll(1900, 400), a.scroll(1800, 400)), false],
  ["exit: a short flick", { exit: true }, true, (a) => (a.scroll(2000, 100), a.scroll(1850, 20)), false],
  ["exit: back from another tab, by finger", { exit: true }, true, (a) => (a.tab("hidden"), a.tab("visible", 5000)), true],
  ["exit: back from a glance at a message, by finger", { exit: true }, true, (a) => (a.tab("hidden"), a.tab("visible", 4999)), false],
  ["exit: shown for the first time, by finger", { exit: true }, true, (a) => a.tab("visible", 60_000), false],
  ["exit: off to another tab", { exit: true }, true, (a) => a.tab("hidden"), false],
  ["exit: back from another tab, by mouse", { exit: true }, false, (a) => (a.tab("hidden"), a.tab("visible", 60_000)), false],
  ["several: the first one counts", { scroll: 90, event: "added" }, false, (a) => a.event("added"), true],
  ["aborted: deaf", { event: "added", exit: true }, false, (a) => (a.abort(), a.event("added"), a.leave(-1)), false],
];

for (const [name, after, coarse, act, want] of rows) {
  test("triggered: " + name, async () => {
    const p = page(after, coarse);
    act(p.act);
    assert.equal(await p.fired(), want);
  });
}

test("triggered: an event from before it was waited for", async () => {
  page({});
  const events = new Events();
  events.add("added");
  await triggered({ event: "added" }, events, new AbortController().signal);
});

const ways: [string, number, number, boolean][] = [
  // pixels up, ms
  ["a page in a blink", 1000, 100, true],
  ["at the speed's limit", 1000, 500, false],
  ["just above it", 1001, 500, true],
  ["too short", 200, 10, false],
  ["just long enough", 201, 10, true],
  ["reading", 300, 400, false],
  ["down", -2000, 10, false],
  ["at once", 500, 0, true],
];

for (const [name, up, ms, want] of ways) {
  test("hurriedUp: " + name, () => assert.equal(hurriedUp({ y: 5000, time: 1000 }, { y: 5000 - up, time: 1000 + ms }), want));
}

test("wasAway: from five seconds on", () => {
  assert.deepEqual([0, 4999, 5000, 3_600_000, -Infinity].map(wasAway), [false, false, true, true, false]);
});

test("leftByTop: by the upper edge, into nothing", () => {
  assert.deepEqual([leftByTop(0, null), leftByTop(-1, null), leftByTop(1, null), leftByTop(-1, {})], [true, true, false, false]);
});

test("click: an invalid selector fails once, and not with each click", async () => {
  const warned: string[] = [];
  const { warn } = console;
  console.warn = (text: string) => void warned.push(text);
  try {
    const { act, fired } = page({ click: ">>" });
    act.click(true);
    act.click(true);
    assert.equal(await fired(), false);
  } finally {
    console.warn = warn;
  }
  assert.deepEqual(warned, ["webpush: not a CSS selector: >>"]);
});

test("leavesRoom: six tenths of the view, above or below, or out of view", () => {
  assert.ok(leavesRoom(0, 400, 1000) && leavesRoom(600, 1000, 1000) && leavesRoom(-300, 0, 1000) && leavesRoom(1000, 1300, 1000));
  assert.ok(!leavesRoom(0, 401, 1000) && !leavesRoom(599, 1000, 1000) && !leavesRoom(-300, 1300, 1000) && !leavesRoom(450, 550, 1000));
});
