import assert from "node:assert/strict";
import { test } from "node:test";
import { define, storageArea } from "../testing/page";
import { adoptStorage, known, lastPrompt, type Known } from "./storage";

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

const visitors: [string, unknown, unknown, unknown, Known, boolean][] = [
  ["nothing", undefined, undefined, undefined, {}, false],
  ["WZRK_G: the device id", "0a1b2c", undefined, undefined, { id: "0a1b2c" }, false],
  ["WZRK_G: opted out", "0a1b2c:OO", undefined, undefined, { id: "0a1b2c" }, true],
  ["WZRK_K: one identity", "a", { id: "ann@example.com" }, undefined, { id: "a", identities: ["ann@example.com"] }, false],
  ["WZRK_K: several", "a", { id: ["7", 8, "GP:9"], flag: true }, undefined, { id: "a", identities: ["7", "8", "GP:9"] }, false],
  ["WZRK_CAMP: dismissals", "a", null, { dnd: [1439796272, "2"] }, { id: "a", dismissed: ["1439796272", "2"] }, false],
  ["rubbish", { a: 1 }, "x", [1], {}, false],
  ["too long, empty, of no kind", "", { id: ["x".repeat(257), "", null, {}] }, { dnd: "5" }, { dismissed: ["5"] }, false],
];

for (const [name, device, login, campaigns, want, out] of visitors) {
  test("known: " + name, () => assert.deepEqual(known(device, login, campaigns), { known: want, out }));
}

test("known: no more than a hundred identities", () => {
  const login = { id: Array.from({ length: 200 }, (_, i) => i) };
  assert.equal(known("a", login, null).known.identities?.length, 100);
});

/** Local storage as CleverTap leaves it, and ours beside it after the adoption. */
function adopted(theirs: Record<string, unknown>, ours: Record<string, string> = {}): Map<string, string> {
  const names = new Map(Object.entries(ours));
  define({ localStorage: storageArea() });
  for (const [name, value] of Object.entries(theirs)) localStorage.setItem(name, encodeURIComponent(JSON.stringify(value)));
  adoptStorage({ get: (n) => names.get(n) ?? "", set: (n, v) => void names.set(n, v), remove: (n) => void names.delete(n) });
  return names;
}

test("adoptStorage: who the visitor was is kept under webpush:ct", () => {
  const names = adopted({ WZRK_G: "0a1b", WZRK_K: { id: ["7"] }, WZRK_CAMP: { dnd: ["5"] }, WZRK_PR: { Name: "A" } });
  assert.equal(names.get("ct"), '{"id":"0a1b","identities":["7"],"dismissed":["5"]}');
  assert.deepEqual([...names.keys()], ["ct"]);
});

test("adoptStorage: an opt-out stays one, a visitor's own wish too", () => {
  assert.equal(adopted({ WZRK_G: "0a1b:OO" }).get("out"), "ct");
  assert.equal(adopted({ WZRK_G: "0a1b:OO" }, { out: "1" }).get("out"), "1");
  assert.equal(adopted({ WZRK_G: "0a1b" }).get("out"), undefined);
});

test("adoptStorage: nobody known, nothing kept", () => {
  assert.deepEqual([...adopted({ WZRK_META: { cs: 1 } }).keys()], []);
});
