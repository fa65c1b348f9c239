import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, isTaken, isTransient, post } from "./post";

test("backoff grows, is jittered by a quarter and bounded", () => {
  assert.equal(backoff(1, null, 0.5), 500);
  assert.equal(backoff(2, null, 0.5), 2000);
  assert.equal(backoff(3, null, 0), 6000);
  assert.equal(backoff(3, null, 1), 10000);
  assert.ok(backoff(20, null, 1) <= 37_500);
});

test("Retry-After counts in seconds up to half a minute; dates do not", () => {
  assert.equal(backoff(1, "2", 0.5), 2000);
  assert.equal(backoff(1, "86400", 0.5), 30_000);
  assert.equal(backoff(1, "Wed, 21 Oct 2026 07:28:00 GMT", 0.5), 500);
  assert.equal(backoff(1, "-5", 0.5), 500);
});

test("only overload and server trouble are worth another try", () => {
  assert.deepEqual([429, 408, 500, 503].map(isTransient), [true, true, true, true]);
  assert.deepEqual([400, 403, 404, 413, 415].map(isTransient), [false, false, false, false, false]);
});

test("only our server's answers count as taken", () => {
  assert.deepEqual([201, 204].map(isTaken), [true, true]);
  assert.deepEqual([200, 202, 206, 302, 404].map(isTaken), [false, false, false, false, false]);
});

test("post repeats transient failures and stops at a refusal", async () => {
  const answers: (number | Error)[] = [];
  let calls = 0;
  // The page's <base> has no effect.
  Object.defineProperty(globalThis, "location", { value: new URL("https://site.example/a/b"), configurable: true });
  globalThis.fetch = async (url) => {
    assert.equal(url, "https://site.example/x");
    calls++;
    const answer = answers.shift()!;
    if (answer instanceof Error) throw answer;
    return new Response(answer === 204 ? null : "{}", { status: answer, headers: { "Retry-After": "0.01" } });
  };
  const run = async (...list: (number | Error)[]) => {
    answers.splice(0, answers.length, ...list);
    calls = 0;
    await post("/x", {}, 3);
  };
  await run(201);
  assert.equal(calls, 1);
  await run(503, 204);
  assert.equal(calls, 2);
  await run(new TypeError("offline"), 201);
  assert.equal(calls, 2);
  await assert.rejects(run(400));
  assert.equal(calls, 1);
  // A site that answers every path with its start page.
  await assert.rejects(run(200));
  assert.equal(calls, 1);
  await assert.rejects(run(503, 503, 503));
  assert.equal(calls, 3);
});
