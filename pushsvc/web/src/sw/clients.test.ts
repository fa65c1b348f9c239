import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseTab } from "./clients";

const a = { id: "a", url: "https://site.example/a" };
const b = { id: "b", url: "https://site.example/b" };
const other = { id: "o", url: "https://other.example/" };

test("an exact tab is focused, controlled or not", () => {
  assert.deepEqual(chooseTab(b.url, [a, b], []), { tab: b, navigate: false });
});

test("otherwise the most recent controlled tab is taken along", () => {
  assert.deepEqual(chooseTab("https://site.example/c", [a, b], [b]), { tab: b, navigate: true });
  assert.deepEqual(chooseTab("https://site.example/c", [a, b], [b, a]), { tab: a, navigate: true });
});

test("an uncontrolled or foreign tab is left alone", () => {
  assert.equal(chooseTab("https://site.example/c", [a, b], []).tab, undefined);
  assert.equal(chooseTab("https://elsewhere.example/", [a, b], [a, b]).tab, undefined);
  assert.equal(chooseTab("https://site.example/c", [other], [other]).tab, undefined);
  assert.equal(chooseTab("https://site.example/c", [], []).tab, undefined);
});

test("no URL brings any tab to the front as it is", () => {
  assert.deepEqual(chooseTab("", [a, b], []), { tab: a, navigate: false });
  assert.deepEqual(chooseTab("", [], []), { tab: undefined, navigate: false });
});
