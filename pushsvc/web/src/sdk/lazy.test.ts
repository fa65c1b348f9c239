import assert from "node:assert/strict";
import { test } from "node:test";
import { define } from "../testing/page";
import type { Config } from "../shared/wire";
import { load } from "./lazy";

define({ location: new URL("https://site.example/a/b") });

/** A module that fails so many times, under the address that load uses. */
const failing = (times: number, id: string): Config =>
  ({
    version: "1",
    prefix: `data:text/javascript,const n=globalThis.${id}=(globalThis.${id}||0)+1;if(n<=${times})throw new Error(String(n));export const tries=n;//`,
  }) as Config;

/** Runs timers at once, and reports how long they would have taken. */
function timers(): number[] {
  const waited: number[] = [];
  define({ setTimeout: (run: () => void, ms: number) => (waited.push(ms), queueMicrotask(run), 0) });
  return waited;
}

const rows: [number, number | Error, number[]][] = [
  [0, 1, []],
  [1, 2, [2000]],
  [2, new Error("2"), [2000]],
];

for (const [times, want, pauses] of rows) {
  test(`load: a module that fails ${times} times`, async () => {
    const waited = timers();
    const got = await load<{ tries: number }>(failing(times, "loads" + times), "ui").then(
      ({ tries }) => tries,
      (error: Error) => error,
    );
    assert.equal(String(got), String(want));
    assert.equal((got as { code?: string }).code, want instanceof Error ? "script_failed" : undefined);
    assert.deepEqual(waited, pauses);
  });
}

test("load: a page that is gone hears of nothing", async () => {
  define({ setTimeout: () => 0 }); // as on a page that is gone
  let settled = false;
  load(failing(1, "gone"), "ui").finally(() => (settled = true));
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(settled, false);
});
