import assert from "node:assert/strict";
import { test } from "node:test";
import type { SDK } from "../sdk/sdk";
import { define, storageArea } from "../testing/page";
import { others } from "../ui/texts_english";
import { reportFault } from "./main";
import { texts } from "./texts";

const sdk = { config: { prefix: "/_webpush" } } as SDK;

/** What a page sends for these faults. Each code differs, because a page reports none twice. */
async function sent(faults: { code?: unknown; status?: number }[], globals: object = {}): Promise<string[]> {
  const bodies: Promise<string>[] = [];
  const sendBeacon = (url: string, body: Blob) => {
    assert.equal(url, "https://shop.example/_webpush/events");
    bodies.push(body.text());
    return true;
  };
  define({
    window: globalThis,
    location: { origin: "https://shop.example" },
    localStorage: storageArea(),
    sessionStorage: storageArea(),
    navigator: { sendBeacon, ...(globals as { navigator?: object }).navigator },
    ...(globals as { storage?: object }).storage,
  });
  for (const fault of faults) await reportFault(sdk, fault);
  return Promise.all(bodies);
}

test("each code is reported once in a tab session", async () => {
  assert.deepEqual(await sent([{ code: "a1" }, { code: "a1" }, { code: "a2" }, { code: "a1" }]), ['{"failure":"a1"}', '{"failure":"a2"}']);
  assert.equal(sessionStorage.getItem("webpush:trouble"), "a1 a2");
});

test("what another page of the session has reported is not reported again", async () => {
  const sessionStorage = storageArea();
  sessionStorage.setItem("webpush:trouble", "b1 b2");
  assert.deepEqual(await sent([{ code: "b1" }, { code: "b3" }], { storage: { sessionStorage } }), ['{"failure":"b3"}']);
});

test("nothing is reported of who does not want to be known", async () => {
  const localStorage = storageArea();
  localStorage.setItem("webpush:optout", "1");
  assert.deepEqual(await sent([{ code: "c1" }], { navigator: { globalPrivacyControl: true } }), []);
  assert.deepEqual(await sent([{ code: "c1" }], { navigator: { doNotTrack: "1" } }), []);
  assert.deepEqual(await sent([{ code: "c1" }], { storage: { localStorage } }), []);
  assert.deepEqual(await sent([{ code: "c1" }]), ['{"failure":"c1"}']);
});

test("a site that has retired push, and faults without a code", async () => {
  assert.deepEqual(await sent([{ code: "d1", status: 410 }, { code: 20 }, {}]), []);
});

test("every language of the prompt has the message", () => {
  assert.deepEqual(Object.keys(texts).sort(), ["en", ...others].sort());
  assert.equal(new Set(Object.values(texts)).size, others.length + 1);
});
