import assert from "node:assert/strict";
import { test } from "node:test";
import { adoptStorage, lastPrompt } from "./storage";

const metas: [string, unknown, number][] = [
  ["WZRK_META.notif_last_time", { notif_last_time: 1700000000 }, 1_700_000_000_000],
  ["webpush_last_notif_time", { webpush_last_notif_time: 1700000001 }, 1_700_000_001_000],
  ["the later of both", { notif_last_time: 1700000002, webpush_last_notif_time: 1700000001 }, 1_700_000_002_000],
  ["never", { cs: 1 }, 0],
  ["rubbish", { notif_last_time: "x" }, 0],
  ["nothing", undefined, 0],
  ["null", null, 0],
];

for (const [name, meta, want] of metas) {
  test("lastPrompt: " + name, () => assert.equal(lastPrompt(meta), want));
}

const stored: [string, string | null, string, string][] = [
  ["as CleverTap writes it", encodeURIComponent('{"notif_last_time":1700000000}'), "", "1700000000000"],
  ["as plain JSON", '{"notif_last_time":1700000000}', "", "1700000000000"],
  ["asked by us since", '{"notif_last_time":1700000000}', "1800000000000", "1800000000000"],
  ["asked by us before", '{"notif_last_time":1700000000}', "1600000000000", "1700000000000"],
  ["broken", "%7B", "", ""],
  ["absent", null, "", ""],
];

for (const [name, text, ours, want] of stored) {
  test("adoptStorage: " + name, () => {
    const names = new Map<string, string>([["asked", ours]]);
    Object.defineProperty(globalThis, "localStorage", { value: { getItem: () => text }, configurable: true });
    adoptStorage({ get: (n) => names.get(n) ?? "", set: (n, v) => void names.set(n, v), remove: (n) => void names.delete(n) });
    assert.equal(names.get("asked"), want);
  });
}
