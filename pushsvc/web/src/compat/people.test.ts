import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProfileOp } from "../shared/entries";
import { counted, operated, sumOf } from "./people";

test("counted: first and last, and no more names than are kept", () => {
  let events = counted(counted({}, "a", 5), "a", 9);
  assert.deepEqual(events, { a: [2, 5, 9] });
  events = counted(events, "constructor", 9);
  assert.deepEqual(events.constructor, [1, 9, 9]);
  for (let i = 0; i < 300; i++) events = counted(events, "e" + i, 10);
  assert.equal(Object.keys(events).length, 200);
  assert.deepEqual(counted(events, "a", 11).a, [3, 5, 11]);
});

test("sumOf", () => {
  assert.deepEqual(sumOf([3, 10, 20], [2, 5, 30]), [5, 5, 30]);
  assert.deepEqual(sumOf(undefined, [2, 5, 30]), [2, 5, 30]);
  assert.deepEqual(sumOf([3, 10, 20], undefined), [3, 10, 20]);
  assert.equal(sumOf(undefined, undefined), undefined);
});

const rows: [string, Record<string, unknown>, ProfileOp, Record<string, unknown>][] = [
  ["incr", { n: 1 }, { op: "incr", key: "n", value: 2 }, { n: 3 }],
  ["incr, of nothing", {}, { op: "incr", key: "n", value: 2 }, { n: 2 }],
  ["incr, of a text", { n: "a" }, { op: "incr", key: "n", value: 2 }, { n: "a" }],
  ["decr", { n: 1 }, { op: "decr", key: "n", value: 2 }, { n: -1 }],
  ["set", { t: ["a"] }, { op: "set", key: "t", value: ["b"] }, { t: ["b"] }],
  ["add, each once", { t: ["a"] }, { op: "add", key: "t", value: ["a", "b"] }, { t: ["a", "b"] }],
  ["add, to a value", { t: "a" }, { op: "add", key: "t", value: ["b"] }, { t: ["a", "b"] }],
  ["remove", { t: ["a", "b"] }, { op: "remove", key: "t", value: ["a"] }, { t: ["b"] }],
  ["remove, of nothing", {}, { op: "remove", key: "t", value: ["a"] }, {}],
  ["delete", { a: 1, b: 2 }, { op: "delete", key: "a" }, { b: 2 }],
];

for (const [name, values, op, want] of rows) test("operated: " + name, () => assert.deepEqual(operated(values, op), want));
