import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config } from "../shared/wire";
import { define, storageArea } from "../testing/page";
import { useWorker } from "./worker";

const rows: [string, string, Partial<Config>][] = [
  ["serviceWorkerPath", "/push/worker.js", { worker: "/push/worker.js", scope: "/push/", fallback: { worker: "/sw.js", scope: "/" } }],
  ["at the root", "/my.js?v=2", { worker: "/my.js?v=2", scope: "/", fallback: { worker: "/sw.js", scope: "/" } }],
  ["without a slash", "my.js", { worker: "/my.js", scope: "/", fallback: { worker: "/sw.js", scope: "/" } }],
  ["what is configured", "/sw.js", { worker: "/sw.js", scope: "/" }],
  ["CleverTap's own", "/clevertap_sw.js", { worker: "/sw.js", scope: "/" }],
  ["of another origin", "https://other.example/w.js", { worker: "/sw.js", scope: "/" }],
  ["no address", "https://", { worker: "/sw.js", scope: "/" }],
];

for (const [name, path, want] of rows) {
  test("useWorker: " + name, () => {
    define({ localStorage: storageArea(), location: new URL("https://shop.example/a/b") });
    const config = { worker: "/sw.js", scope: "/", vendorWorkers: ["/clevertap_sw.js"] } as Config;
    useWorker(config, path);
    useWorker(config, path);
    const { vendorWorkers: _, ...got } = config;
    assert.deepEqual(got, want);
  });
}
