import assert from "node:assert/strict";
import { test } from "node:test";
import { byImportance, choose, type DisplayState } from "./choose";

type Popup = Parameters<typeof choose>[0];
const box: Popup = { id: "a", kind: "box" };
const open = (priority: number, seen: boolean) => ({ open: { priority, seen } });

const rows: [string, Popup, Partial<DisplayState>, string][] = [
  ["the first", box, {}, "show"],
  ["over another one", box, open(0, true), "drop"],
  ["often enough in this visit", { ...box, caps: { session: 2 } }, { shown: { a: 2 } }, "drop"],
  ["not yet as often", { ...box, caps: { session: 2 } }, { shown: { a: 1 } }, "show"],
  ["as many as the site allows", box, { shown: { "": 1 }, perSession: 1 }, "drop"],
  ["fewer than the site allows", box, { shown: { "": 1 }, perSession: 2 }, "show"],
  ["no limit of the site's", box, { shown: { "": 9 } }, "show"],
  ["an inbox beside another one", { ...box, kind: "inbox" }, { ...open(9, true), shown: { "": 1 }, perSession: 1 }, "show"],
  ["an inbox that was shown", { ...box, kind: "inbox", caps: { session: 1 } }, { shown: { a: 1 } }, "drop"],
  ["dismissSpamControl is true: in place of one that was seen", box, { ...open(9, true), dismissSpamControl: true }, "replace"],
  ["dismissSpamControl is true: of two at once the more important stays", box, { ...open(9, false), dismissSpamControl: true }, "drop"],
  ["dismissSpamControl is true: the more important comes second", { ...box, priority: 10 }, { ...open(9, false), dismissSpamControl: true }, "replace"],
  ["dismissSpamControl is true: closed before", box, { dismissed: ["a"], dismissSpamControl: true }, "show"],
  ["dismissSpamControl is false: closed before", box, { dismissed: ["a"], dismissSpamControl: false }, "drop"],
  ["dismissSpamControl is false: over another one", box, { ...open(0, true), dismissSpamControl: false }, "drop"],
  ["no CleverTap: closed before", box, { dismissed: ["a"] }, "show"],
];

for (const [name, popup, at, want] of rows) {
  test("choose: " + name, () => assert.equal(choose(popup, { shown: {}, dismissed: [], ...at }), want));
}
// CLEVERTAP.md names this test.
test("choose: dismissSpamControl is false", () =>
  assert.equal(choose(box, { shown: {}, dismissed: ["a"], dismissSpamControl: false }), "drop"));

test("byImportance: control groups are among the others", () => {
  const popupOf = (id: string, priority?: number) => ({ popup: { id, priority } });
  const list = byImportance([popupOf("shown", 1), popupOf("plain"), popupOf("zero", 0), popupOf("kept", 5), popupOf("alike", 1), popupOf("under", -1)]);
  assert.deepEqual(list.map(({ popup }) => popup.id), ["kept", "alike", "shown", "plain", "zero", "under"]);
});
