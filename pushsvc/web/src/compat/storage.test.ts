import assert from "node:assert/strict";
import { test } from "node:test";
import { local, storedNames } from "../sdk/storage";
import { outByCleverTap, outByVisitor } from "../sdk/storage_keys";
import { listedArea } from "../testing/area";
import { define, storageArea } from "../testing/page";
import { adoptStorage, knownVisitor, lastPrompt, type KnownVisitor } from "./storage";

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
    define({ window: globalThis, localStorage: storageArea() });
    if (text !== null) localStorage.setItem("WZRK_META", text);
    if (ours) local.set("asked", ours);
    adoptStorage(local);
    assert.equal(local.get("asked"), want);
  });
}

const visitors: [string, unknown, unknown, unknown, KnownVisitor, boolean][] = [
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
  test("knownVisitor: " + name, () => assert.deepEqual(knownVisitor(device, login, campaigns), { known: want, out }));
}

test("knownVisitor: no more than a hundred identities", () => {
  const login = { id: Array.from({ length: 200 }, (_, i) => i) };
  assert.equal(knownVisitor("a", login, null).known.identities?.length, 100);
});

/** Adopts a storage area as CleverTap leaves it, with `webpush:out` from before; returns
 * the names of our items in it. */
function adopted(theirs: Record<string, unknown>, out?: "1"): string[] {
  define({ window: globalThis, localStorage: listedArea() });
  for (const [name, value] of Object.entries(theirs)) localStorage.setItem(name, encodeURIComponent(JSON.stringify(value)));
  if (out) local.set("out", out);
  adoptStorage(local);
  return storedNames("localStorage");
}

test("adoptStorage: who the visitor was is kept under webpush:ct", () => {
  const names = adopted({ WZRK_G: "0a1b", WZRK_K: { id: ["7"] }, WZRK_CAMP: { dnd: ["5"] }, WZRK_PR: { Name: "A" } });
  assert.equal(local.get("ct"), '{"id":"0a1b","identities":["7"],"dismissed":["5"]}');
  assert.deepEqual(names, ["ct"]);
});

test("adoptStorage: an opt-out stays one, a visitor's own wish too", () => {
  assert.deepEqual(adopted({ WZRK_G: "0a1b:OO" }), ["ct", "optout", "out"]);
  assert.equal(local.get("out"), outByCleverTap);
  assert.deepEqual(adopted({ WZRK_G: "0a1b:OO" }, outByVisitor), ["ct", "out"]);
  assert.equal(local.get("out"), outByVisitor);
  assert.deepEqual(adopted({ WZRK_G: "0a1b" }), ["ct"]);
});

test("adoptStorage: an unknown visitor, nothing kept", () => {
  assert.deepEqual(adopted({ WZRK_META: { cs: 1 } }), []);
});
