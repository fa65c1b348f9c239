import assert from "node:assert/strict";
import { test } from "node:test";
import { adoptEntry } from "./adopt";

const rows: [string, unknown, unknown][] = [
  [
    "all of it",
    { id: "0a1b", identities: ["u1", "a@example.com", "GP:7", "FB:8"], dismissed: ["1"] },
    {
      type: "adopt",
      device: "0a1b",
      identities: [
        { kind: "identity", value: "u1" },
        { kind: "email", value: "a@example.com" },
        { kind: "gpid", value: "7" },
        { kind: "fbid", value: "8" },
      ],
    },
  ],
  ["of a known kind", { identities: [{ kind: "identity", value: "a@example.com" }] }, { type: "adopt", identities: [{ kind: "identity", value: "a@example.com" }] }],
  ["a device", { id: "0a1b" }, { type: "adopt", device: "0a1b" }],
  ["no identity", { dismissed: ["1"] }, undefined],
  ["of a kind but empty", { identities: ["GP:"] }, undefined],
  ["another shape", { id: 7, identities: "u1" }, undefined],
  ["null", null, undefined],
];

for (const [name, known, want] of rows) test("adoptEntry: " + name, () => assert.deepEqual(adoptEntry(JSON.stringify(known)), want));
test("adoptEntry: rubbish", () => assert.equal(adoptEntry("{"), undefined));
