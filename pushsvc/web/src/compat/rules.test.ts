import assert from "node:assert/strict";
import { test } from "node:test";
import { consoleOf } from "../testing/page";
import { Log } from "./log";
import { charge, eventName, properties } from "./rules";

type Props = Record<string, unknown>;

/** What is kept, and the codes on the console. */
function kept(run: (log: Log) => unknown): [unknown, number[]] {
  let got: unknown;
  const lines = consoleOf(() => (got = run(new Log(() => 0))));
  return [got, lines.map((line) => Number(/(?:error|\[0\]): (\d{3}): /.exec(line)?.[1]))];
}

const long = "x".repeat(1025);
const many = (n: number, value: (i: number) => unknown = (i) => i): Props =>
  Object.fromEntries(Array.from({ length: n }, (_, i) => ["k" + i, value(i)]));

const names: [string, unknown, unknown, number[]][] = [
  ["as given", "Added to cart", "Added to cart", []],
  ["1024 characters", long.slice(1), long.slice(1), []],
  ["510, 1025 characters", long, long.slice(1), [510]],
  ["characters taken out", " Added: \"to\" $cart. ", "Added to cart", []],
  ["of nothing else", "$'.", undefined, []],
  ["510, none", "", undefined, [510]],
  ["510, no text", 7, undefined, [510]],
  ...["Stayed", "UTM Visited", "App Launched", "Notification Sent", "Notification Viewed", "Notification Clicked"].map(
    (name): [string, unknown, unknown, number[]] => ["513, " + name, name, undefined, [513]],
  ),
];

for (const [name, given, want, codes] of names) {
  test("eventName: " + name, () => assert.deepEqual(kept((log) => eventName(given, log)), [want, codes]));
}

const deep = (levels: number): Props => (levels ? { a: deep(levels - 1) } : { x: 1 });

const props: [string, Props, Props, number[]][] = [
  ["plain values", { a: "b", n: 1.5, t: true }, { a: "b", n: 1.5, t: true }, []],
  ["characters taken out of keys", { " a.b:c$d'e\"f\\ ": 1 }, { abcdef: 1 }, []],
  ["characters taken out of texts", { a: "it's \"so\" \\" }, { a: "its so " }, []],
  ["space at the ends of texts", { a: "  b c\n" }, { a: "b c" }, []],
  ["values in boxes", { a: new String("b"), n: new Number(2), t: [new Boolean(false)] }, { a: "b", n: 2, t: [false] }, []],
  ["a key of nothing else", { "$": 1 }, {}, []],
  ["520: key too long", { [long]: 1 }, { [long.slice(1)]: 1 }, [520]],
  ["521: text too long", { a: long }, { a: long.slice(1) }, [521]],
  ["dates", { d: new Date(1_700_000_000_400) }, { d: "$D_1700000000" }, []],
  ["545: an invalid date", { d: new Date(NaN) }, {}, [545]],
  ["545: null, undefined, NaN, functions", { a: null, b: undefined, c: NaN, d: () => 1, e: "" }, { e: "" }, [545, 545, 545, 545]],
  ["545: empty objects and lists", { a: {}, b: [], c: { d: {} }, e: [[], 1] }, { e: [1] }, [545, 545, 545, 545, 545]],
  ["541: three levels", deep(3), deep(3), []],
  ["541: four levels", { ...deep(4), y: 1 }, { y: 1 }, [541, 545, 545, 545]],
  ["541: objects in lists count", { a: [{ b: [{ c: [{ d: 1 }] }] }] }, { a: [{ b: [{ c: [{ d: 1 }] }] }] }, []],
  ["541: one more", { a: [{ b: [{ c: [{ d: { e: 1 }, f: 2 }] }] }] }, { a: [{ b: [{ c: [{ f: 2 }] }] }] }, [541]],
  ["543: five objects and lists", many(5, () => [1]), many(5, () => [1]), []],
  ["543: six", { ...many(6, () => [1]), z: 1 }, { ...many(5, () => [1]), z: 1 }, [543]],
  ["543: six at a nested level", { a: many(6, () => [1]) }, { a: many(5, () => [1]) }, [543]],
  ["542: six in an object of a list", { a: [many(6, () => [1])] }, { a: [many(5, () => [1])] }, [542]],
  ["543: a list of a hundred", { a: Array(100).fill(1) }, { a: Array(100).fill(1) }, []],
  ["543: a list of 101", { a: Array(101).fill(1) }, { a: Array(100).fill(1) }, [543]],
  ["544: a hundred names", many(100), many(100), []],
  ["544: 101 names", many(101), many(100), [544]],
  ["544: names in lists count", { a: Array.from({ length: 100 }, () => ({ b: 1 })) }, { a: Array.from({ length: 99 }, () => ({ b: 1 })) }, [544, 545]],
];

for (const [name, given, want, codes] of props) {
  test("properties: " + name, () => {
    const before = JSON.stringify(given);
    assert.deepEqual(kept((log) => properties(given, log)), [want, codes]);
    assert.equal(JSON.stringify(given), before, "the page's own object was changed");
  });
}

test("properties: what refers to itself ends at the third level", () => {
  const given: Props = { x: 1 };
  given.a = given;
  const [got] = kept((log) => properties(given, log));
  assert.deepEqual(got, { x: 1, a: { x: 1, a: { x: 1, a: { x: 1 } } } });
});

test("properties: __proto__ is a name like others", () => {
  const [got] = kept((log) => properties(JSON.parse('{"__proto__": {"a": 1}}'), log));
  assert.equal(JSON.stringify(got), '{"__proto__":{"a":1}}');
});

const charges: [string, Props, Props | undefined, number[]][] = [
  ["Amount, Charged ID, Items", { Amount: 3, "Charged ID": 7, Items: [{ a: "b" }] }, { Amount: 3, "Charged ID": 7, Items: [{ a: "b" }] }, []],
  ["no Items", { Amount: 3 }, { Amount: 3 }, []],
  ["dates", { at: new Date(1000), Items: [{ at: new Date(2000) }] }, { at: "$D_1", Items: [{ at: "$D_2" }] }, []],
  ["511: Items that are no list", { Items: {} }, undefined, [511]],
  ["511: Items that are no objects", { Items: [1] }, undefined, [511]],
  ["511: nested Items", { Items: [{ a: [] }] }, undefined, [511]],
  ["511: nested elsewhere", { Amount: {} }, undefined, [511]],
  ["522: fifty-one Items", { Items: Array(51).fill({ a: 1 }) }, { Items: Array(50).fill({ a: 1 }) }, [522]],
  ["more names in Items than an event may have", { Items: Array(50).fill(many(5)) }, { Items: Array(50).fill(many(5)) }, []],
];

for (const [name, given, want, codes] of charges) {
  test("charge: " + name, () => assert.deepEqual(kept((log) => charge(given, log)), [want, codes]));
}
