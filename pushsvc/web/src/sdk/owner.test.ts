import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry, Identity } from "../shared/entries";
import { define, storageArea } from "../testing/page";
import { clearInboxOfOthers } from "./owner";

const login = (...identities: [Identity["kind"], string][]): Entry => ({ type: "login", identities: identities.map(([kind, value]) => ({ kind, value })) });
const ann = login(["identity", "1"]);
const annByMail = login(["email", "ann@example.com"]);
const annByBoth = login(["identity", "1"], ["email", "ann@example.com"]);
const bob = login(["identity", "2"]);

/** What happens after a message arrives, and whether the message stays. */
const rows: [string, Entry[], boolean][] = [
  ["an unknown visitor logs in", [ann], true],
  ["the same once more", [ann, ann], true],
  ["by one more identity", [ann, annByBoth, annByMail], true],
  ["another person", [ann, bob], false],
  ["another person, by another kind of identity", [ann, annByMail], false],
  ["a log-out", [ann, { type: "logout" }], false],
  ["a log-out without a login", [{ type: "logout" }], false],
  ["an opt-out", [{ type: "optout", value: true }], false],
  ["the end of one", [{ type: "optout", value: false }], true],
  ["an event", [ann, { type: "event", name: "x" }, { type: "profile", set: {} }], true],
];

for (const [name, entries, kept] of rows) {
  test("clearInboxOfOthers: " + name, () => {
    let removed = false;
    define({
      window: { localStorage: storageArea() },
      document: { getElementById: (id: string) => (id === "webpush-inbox" ? { remove: () => (removed = true) } : null) },
    });
    window.localStorage.setItem("webpush:inbox", "[]");
    entries.forEach(clearInboxOfOthers);
    assert.equal(window.localStorage.getItem("webpush:inbox"), kept ? "[]" : null);
    assert.equal(removed, !kept);
  });
}

test("clearInboxOfOthers: after a log-out the next person may have messages", () => {
  define({ window: { localStorage: storageArea() }, document: { getElementById: () => null } });
  clearInboxOfOthers(ann);
  clearInboxOfOthers({ type: "logout" });
  window.localStorage.setItem("webpush:inbox", "[]");
  clearInboxOfOthers(bob);
  assert.equal(window.localStorage.getItem("webpush:inbox"), "[]");
});
