import assert from "node:assert/strict";
import { test } from "node:test";
import { isDark } from "./look";

test("the page's color-scheme decides, the visitor's wish where it leaves the choice", () => {
  for (const wish of [true, false]) {
    assert.equal(isDark("dark", wish), true);
    assert.equal(isDark("only dark", wish), true);
    assert.equal(isDark("light", wish), false);
    assert.equal(isDark("only light", wish), false);
    assert.equal(isDark("light dark", wish), wish);
    assert.equal(isDark("dark light", wish), wish);
    assert.equal(isDark("normal", wish), wish);
    assert.equal(isDark("", wish), wish);
  }
});
