import assert from "node:assert/strict";
import { test } from "node:test";
import { define, storageArea } from "../testing/page";
import { countVisit, isPrivate } from "./visit";

const minute = 60_000;

/** Pages at so many minutes, and how many visits they are. */
const rows: [string, number[], number][] = [
  ["one page", [0], 1],
  ["page after page", [0, 15, 30, 45], 1],
  ["twenty minutes to the second", [0, 20], 1],
  ["longer", [0, 20.1], 2],
  ["the next day, and again", [0, 1440, 1441, 2880], 3],
  ["a clock that was set back by hours", [600, 0, 1], 2],
];

for (const [name, pages, want] of rows) {
  test("countVisit: " + name, () => {
    define({ window: globalThis, localStorage: storageArea(), location: new URL("https://shop.example/a?b=c"), document: { referrer: "https://search.example/" } });
    const start = 1_800_000_000_000;
    for (const page of pages) countVisit(start + page * minute);
    assert.equal(localStorage.getItem("webpush:visits"), String(want));
  });
}

test("countVisit: the first page is noted, not the next ones", () => {
  define({ window: globalThis, localStorage: storageArea(), location: new URL("https://shop.example/a?b=c"), document: { referrer: "https://search.example/" } });
  countVisit(1e12);
  define({ location: new URL("https://shop.example/b"), document: { referrer: "https://shop.example/a" } });
  countVisit(1e12 + minute);
  assert.equal(localStorage.getItem("webpush:visit"), "1000000000000 https://shop.example/a?b=c https://search.example/");
});

test("countVisit: what was shown is counted by visit", () => {
  define({ window: globalThis, localStorage: storageArea(), location: new URL("https://shop.example/"), document: { referrer: "" } });
  countVisit(1e12);
  localStorage.setItem("webpush:shown", '{"a":1}');
  countVisit(1e12 + minute);
  assert.equal(localStorage.getItem("webpush:shown"), '{"a":1}');
  countVisit(1e12 + 30 * minute);
  assert.equal(localStorage.getItem("webpush:shown"), null);
});

test("isPrivate: Global Privacy Control and Do Not Track", () => {
  const asked = [{}, { globalPrivacyControl: true }, { globalPrivacyControl: false }, { doNotTrack: "1" }, { doNotTrack: "0" }, { doNotTrack: null }].map((navigator) => {
    define({ navigator });
    return isPrivate();
  });
  assert.deepEqual(asked, [false, true, false, true, false, false]);
});
