import assert from "node:assert/strict";
import { test } from "node:test";
import { objects, pairEvents, splitPrompts } from "./queue";

test("pairEvents: names with and without properties", () => {
  assert.deepEqual(pairEvents(["A", { x: 1 }, "B", "C", { y: 2 }]), [["A", { x: 1 }], ["B"], ["C", { y: 2 }]]);
});

test("pairEvents: what has no name belongs to nothing", () => {
  assert.deepEqual(pairEvents([{ x: 1 }, "A", { y: 2 }, { z: 3 }, 4, null]), [["A", { y: 2 }]]);
});

const a = { titleText: "a" };
const b = { titleText: "b" };
const splits: [string, unknown[], unknown[][]][] = [
  ["nothing", [], []],
  ["one object", [a], [[a]]],
  ["two objects are two calls", [a, b], [[a], [b]]],
  ["positional, four", ["t", "b", "y", "n"], [["t", "b", "y", "n"]]],
  ["positional, all", ["t", "b", "y", "n", "#112233", false, 60], [["t", "b", "y", "n", "#112233", false, 60]]],
  ["positional, gaps", ["t", "b", "y", "n", null, undefined, 60], [["t", "b", "y", "n", null, undefined, 60]]],
  ["two positional, short", ["t", "b", "y", "n", "u", "c", "z", "o"], [["t", "b", "y", "n"], ["u", "c", "z", "o"]]],
  ["two positional, colour in the first", ["t", "b", "y", "n", "#112233", "u", "c", "z", "o"], [["t", "b", "y", "n", "#112233"], ["u", "c", "z", "o"]]],
  ["object after positional", ["t", "b", "y", "n", true, a], [["t", "b", "y", "n"], [true], [a]]],
  ["positional after object", [a, "t", "b", "y", "n"], [[a], ["t", "b", "y", "n"]]],
  ["too few before an object", ["t", "b", a], [["t", "b"], [a]]],
];

for (const [name, queue, want] of splits) {
  test("splitPrompts: " + name, () => assert.deepEqual(splitPrompts(queue), want));
}

test("objects: of profile, onUserLogin and privacy", () => {
  assert.deepEqual(objects([a, "x", null, [a], b]), [a, b]);
});
