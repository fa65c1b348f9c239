import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeBase64url, encodeBase64url, sameKey } from "./base64url";

test("base64url round trip over all lengths and bytes", () => {
  for (let length = 0; length < 70; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 83 + length * 7) & 255);
    const text = encodeBase64url(bytes);
    assert.ok(/^[\w-]*$/.test(text), text);
    assert.deepEqual(decodeBase64url(text), bytes);
  }
});

test("base64url takes the standard alphabet and padding too", () => {
  assert.deepEqual(decodeBase64url("-_8="), Uint8Array.of(251, 255));
  assert.deepEqual(decodeBase64url("+/8"), Uint8Array.of(251, 255));
  assert.throws(() => decodeBase64url("not base64!"));
});

test("sameKey compares bytes and trusts engines without a key", () => {
  const bytes = Uint8Array.of(4, 255, 254, 0, 1);
  const key = encodeBase64url(bytes);
  assert.equal(sameKey(bytes.buffer, key), true);
  assert.equal(sameKey(bytes.buffer, key + "="), true);
  assert.equal(sameKey(Uint8Array.of(4, 255, 254, 0, 2).buffer, key), false);
  assert.equal(sameKey(null, key), true);
  assert.equal(sameKey(undefined, key), true);
});
