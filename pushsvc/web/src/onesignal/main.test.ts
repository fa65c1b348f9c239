import assert from "node:assert/strict";
import { test } from "node:test";
import { type Any, page } from "../testing/onesignal";

test("queue: OneSignalDeferred.push before, after, and to a kept reference", () => {
  const order: unknown[] = [];
  const early = [(api: Any) => order.push(["early", typeof api.init])];
  const { window, api } = page({ globals: { OneSignalDeferred: early } });
  window.OneSignalDeferred = window.OneSignalDeferred || [];
  window.OneSignalDeferred.push(() => order.push("late"));
  assert.equal(window.OneSignalDeferred.push((one: Any) => one === api), true);
  early.push(() => order.push("kept"));
  window.OneSignalDeferred = [() => order.push("made again")];
  assert.deepEqual(order, [["early", "function"], "late", "kept", "made again"]);
});

test("queue: OneSignal.push of names and functions, before and after", () => {
  const queue: unknown[] = [["sendTag", "a", "1"], () => window.OneSignal.sendTag("b", "2")];
  const window = globalThis as Any;
  const { sdkCalls, api } = page({ globals: { OneSignal: queue } });
  assert.equal(window.OneSignal, api);
  window.OneSignal.push(["sendTag", "c", "3"], function (this: unknown) {
    window.OneSignal.sendTag("d", String(this === api));
  });
  window.OneSignal = window.OneSignal || [];
  assert.deepEqual(sdkCalls.map((one) => (one as Any).set), [{ a: "1" }, { b: "2" }, { c: "3" }, { d: "true" }]);
});

test("queue: what throws stops nothing else", async () => {
  const { setTimeout: real } = globalThis;
  const thrown: unknown[] = [];
  globalThis.setTimeout = ((run: () => void) => {
    try {
      run();
    } catch (error) {
      thrown.push((error as Error).message);
    }
  }) as never;
  let reached = false;
  try {
    page({ globals: { OneSignalDeferred: [() => assert.ok(false, "mine"), () => (reached = true)] } });
  } finally {
    globalThis.setTimeout = real;
  }
  assert.deepEqual([thrown, reached], [["mine"], true]);
});

test("queue: a variable of the page that cannot be made an accessor", () => {
  const window = globalThis as Any;
  const fixed = "OneSignalFixed";
  Object.defineProperty(window, fixed, { value: [], writable: true, configurable: false });
  const define = Object.defineProperty;
  Object.defineProperty = ((target: object, name: string, descriptor: PropertyDescriptor) => {
    if (target === window && name === "OneSignal" && descriptor.get) throw new TypeError("not configurable");
    return define(target, name, descriptor);
  }) as never;
  try {
    const { sdkCalls, api } = page({ globals: { OneSignal: [["sendTag", "a", "1"]] } });
    assert.deepEqual([window.OneSignal === api, sdkCalls.length], [true, 1]);
  } finally {
    Object.defineProperty = define;
  }
});
