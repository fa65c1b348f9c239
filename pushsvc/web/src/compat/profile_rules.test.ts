import assert from "node:assert/strict";
import { test } from "node:test";
import { consoleOf } from "../testing/page";
import { Log } from "./log";
import { attributesOf, operation, profile } from "./profile_rules";

type Props = Record<string, unknown>;

function kept(run: (log: Log) => unknown): [unknown, string[]] {
  let got: unknown;
  const lines = consoleOf(() => (got = run(new Log(() => 0))));
  return [got, lines];
}

/** An attribute and the value that is kept; undefined: dropped. */
const values: [string, unknown, unknown][] = [
  ["Name", "Ann", "Ann"],
  ["Email", "ann@example.com", "ann@example.com"],
  ["Photo", "https://example.com/a.png", "https://example.com/a.png"],
  ["Identity", "7", "7"],
  ["Identity", 7, 7],
  ["Identity", true, undefined],
  ["Phone", "+4930123456", 4930123456],
  ["Phone", "+49301234", 49301234],
  ["Phone", "+4930123", undefined],
  ["Phone", "4930123456", undefined],
  ["Phone", "+49 30 123456", undefined],
  ["Phone", 4930123456, 4930123456],
  ...["M", "F", "O", "U"].map((value): [string, unknown, unknown] => ["Gender", value, value]),
  ["Gender", "male", "M"],
  ["Gender", "Female", "F"],
  ["Gender", "others", "O"],
  ["Gender", "unknown", "U"],
  ["Gender", "m", undefined],
  ["Gender", 1, undefined],
  ["Gender", "constructor", undefined],
  ["Employed", "Y", "Y"],
  ["Employed", "N", "N"],
  ["Employed", true, undefined],
  ["Married", "N", "N"],
  ["Married", "yes", undefined],
  ["Education", "School", "School"],
  ["Education", "College", "College"],
  ["Education", "Graduate", "Graduate"],
  ["Education", "school", undefined],
  ["Age", 28, 28],
  ["Age", "28", 28],
  ["Age", " ", undefined],
  ["Age", "old", undefined],
  ["Age", true, undefined],
  ["DOB", "$D_19900131", "$D_19900131"],
  ["DOB", new Date(86_400_000), "$D_86400"],
  ["DOB", new Date(-86_400_000), "$D_-86400"],
  ["DOB", "1990-01-31", undefined],
  ["DOB", "$D_631152000", undefined],
  ["MSG-push", false, false],
  ["MSG-email", true, true],
  ["MSG-sms", true, true],
  ["MSG-whatsapp", true, true],
  ["Plan", "gold", "gold"],
];

for (const [name, value, want] of values) {
  test(`profile: ${name} ${value instanceof Date ? +value : JSON.stringify(value)}`, () => {
    const [got, lines] = kept((log) => profile({ [name]: value, Kept: 1 }, log));
    assert.deepEqual(got, want === undefined ? { Kept: 1 } : { [name]: want, Kept: 1 });
    assert.equal(lines.length, want === undefined ? 1 : 0, lines.join("\n"));
    if (want === undefined) assert.ok(lines[0]!.startsWith("! CleverTap error: " + name), lines[0]);
  });
}

for (const name of ["Name", "Email", "Education", "Married", "DOB", "Gender", "Phone", "Age", "FBID", "GPID", "Birthday", "Identity"]) {
  for (const value of [{ a: 1 }, ["a"]]) {
    test(`profile: 513, ${name} nested as ${Array.isArray(value) ? "list" : "object"}`, () => {
      const [got, lines] = kept((log) => profile({ [name]: value, Other: value }, log));
      assert.deepEqual(got, { Other: value });
      assert.deepEqual(lines, [`! CleverTap error: 513: '${name}' is a restricted profile property and cannot have nested values`]);
    });
  }
}

test("profile: the limits of nested event properties hold", () => {
  const [got, lines] = kept((log) => profile({ a: { b: { c: { d: { e: 1 }, f: 1 } } }, g: null }, log));
  assert.deepEqual(got, { a: { b: { c: { f: 1 } } } });
  assert.deepEqual(lines.map((line) => /\d{3}/.exec(line)?.[0]), ["541", "545"]);
});

const arguments_: [string, Props, Props | undefined][] = [
  ["Site", { Site: { Name: "A" } }, { Name: "A" }],
  ["Facebook", { Facebook: { id: 5, name: "A", email: "a@example.com", gender: "female", link: "x" } }, { FBID: "5", Name: "A", Email: "a@example.com", Gender: "F", Employed: "N" }],
  [
    "Facebook, all of it",
    { Facebook: { id: "5", name: "A", gender: "agender", birthday: "08/15/1947", relationship_status: "Married", work: [{}], education: [{ type: "High School" }, { type: "College" }] } },
    { FBID: "5", Name: "A", Gender: "O", DOB: "$D_19470815", Married: "Y", Employed: "Y", Education: "College" },
  ],
  ["Facebook, a wrong birthday", { Facebook: { birthday: "02/30/1947", relationship_status: "Single", education: [{ type: "Graduate School" }] } }, { Gender: "O", Married: "N", Employed: "N", Education: "Graduate" }],
  ["Google Plus", { "Google Plus": { id: 6, displayName: "B" } }, { GPID: "6", Name: "B" }],
  [
    "Google Plus, all of it",
    {
      "Google Plus": {
        id: "6",
        displayName: "B",
        gender: "other",
        birthday: "1976-07-27",
        relationshipStatus: "single",
        image: { isDefault: false, url: "https://example.com/a.jpg?sz=50" },
        emails: [{ type: "home", value: "h@example.com" }, { type: "account", value: "b@example.com" }],
        organizations: [{ type: "school" }, { type: "work" }],
      },
    },
    { GPID: "6", Name: "B", Gender: "O", DOB: "$D_19760727", Married: "N", Photo: "https://example.com/a.jpg", Email: "b@example.com", Employed: "Y" },
  ],
  ["Site before a network", { Site: { a: 1 }, Facebook: { name: "A" } }, { a: 1 }],
  ["Facebook, failed", { Facebook: { error: {} } }, undefined],
  ["none", { Name: "A" }, undefined],
  ["Site that is not an object", { Site: "A" }, undefined],
];

for (const [name, given, want] of arguments_) {
  test("attributesOf: " + name, () => assert.deepEqual(attributesOf(given), want));
}

const calls: [string, unknown, unknown, Props | undefined, number][] = [
  // method, key, value, the operation on the wire, lines on the console
  ["setMultiValuesForKey", "Tags", ["A", "a", "B", 1, 1], { Tags: { $set: ["a", "b", 1] } }, 0],
  ["setMultiValuesForKey", "Tags", [], { Tags: { $set: [] } }, 0],
  ["setMultiValuesForKey", "Tags", "A", undefined, 1],
  ["setMultiValuesForKey", "Tags", ["A", {}, null], { Tags: { $set: ["a"] } }, 2],
  ["addMultiValueForKey", "Tags", "A", { Tags: { $add: ["a"] } }, 0],
  ["addMultiValueForKey", "Tags", 7, { Tags: { $add: [7] } }, 0],
  ["addMultiValueForKey", "Tags", ["A"], undefined, 1],
  ["addMultiValueForKey", "Tags", true, undefined, 1],
  ["addMultiValuesForKey", "Tags", ["A", "B"], { Tags: { $add: ["a", "b"] } }, 0],
  ["addMultiValuesForKey", "Tags", [], undefined, 0],
  ["removeMultiValueForKey", "Tags", "A", { Tags: { $remove: ["a"] } }, 0],
  ["removeMultiValuesForKey", "Tags", ["A"], { Tags: { $remove: ["a"] } }, 0],
  ["removeValueForKey", "Tags", undefined, { Tags: { $delete: true } }, 0],
  ["removeValueForKey", "", undefined, undefined, 1],
  ["handleIncrementValue", "Cars[0].seats", 2, { "Cars[0].seats": { $incr: 2 } }, 0],
  ["handleIncrementValue", "n", 0, undefined, 1],
  ["handleIncrementValue", "n", "2", undefined, 1],
  ["handleIncrementValue", 7, 2, undefined, 1],
  ["handleDecrementValue", "n", 1.5, { n: { $decr: 1.5 } }, 0],
  ["handleDecrementValue", "n", Infinity, undefined, 1],
];

for (const [method, key, value, want, lines] of calls) {
  test(`operation: ${method} ${JSON.stringify(key)} ${JSON.stringify(value)}`, () => {
    const [got, said] = kept((log) => operation(method, key, value, log));
    assert.deepEqual(got, want);
    assert.equal(said.length, lines, said.join("\n"));
  });
}
