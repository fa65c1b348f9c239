import assert from "node:assert/strict";
import { test } from "node:test";
import { type BatchResult, batchResult, pauseAfter } from "./batch_result";

const rows: [number[], BatchResult][] = [
  [[201, 204], "taken"],
  [[400, 413, 415, 422], "refused"],
  [[410], "retired"],
  [[408, 429, 500, 502, 503, 504], "later"],
  [[200, 302, 401, 403, 404, 405], "elsewhere"],
];

for (const [statuses, want] of rows) {
  for (const status of statuses) test("batchResult: " + status, () => assert.equal(batchResult(status), want));
}

test("pauseAfter: longer and longer, to five minutes", () => {
  const pauses = [1, 2, 3, 4, 5, 6, 10, 14, 100].map((tries) => pauseAfter(tries, null, 0.5));
  assert.deepEqual(pauses, [500, 2000, 8000, 30_000, 30_000, 60_000, 180_000, 300_000, 300_000]);
});

test("pauseAfter: as the server asks", () => assert.equal(pauseAfter(1, "7", 0.5), 7000));
