import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config } from "../shared/wire";
import { decidingDirective, tryWorker } from "./worker";

const directives: [string, string, string][] = [
  ["worker-src", "default-src 'self'; worker-src 'none'", "worker-src"],
  ["worker-src", "default-src 'none'; child-src 'none'; script-src 'self'", "child-src"],
  ["worker-src", "default-src 'none'; script-src 'nonce-x'", "script-src"],
  ["worker-src", "default-src 'nonce-x'", "default-src"],
  ["worker-src", "script-src-elem 'none';DEFAULT-SRC 'none'", "default-src"],
  ["script-src", "worker-src 'none'; script-src *", "worker-src"],
  ["worker-src", "", "worker-src"],
  ["require-trusted-types-for", "script-src 'none'; require-trusted-types-for 'script'", "require-trusted-types-for"],
];

for (const [effective, policy, want] of directives) {
  test(`decidingDirective: ${effective} of ${policy}`, () => assert.equal(decidingDirective(effective, policy), want));
}

const config = { worker: "/sw.js", prefix: "/_webpush", scope: "/" } as Config;

/** Runs tryWorker on a page whose register() answers so. */
async function attempt(register: () => Promise<unknown>, own?: object): Promise<string[]> {
  const did: string[] = [];
  const document = new EventTarget();
  const serviceWorker = {
    getRegistration: async () => own,
    register: async (url: string, { scope }: { scope: string }) => {
      did.push(`${url} ${scope}`);
      await register();
      return { unregister: async () => did.push("unregister") };
    },
  };
  const define = (name: string, value: unknown) => Object.defineProperty(globalThis, name, { value, configurable: true });
  define("window", globalThis);
  define("document", document);
  define("navigator", { serviceWorker });
  try {
    await tryWorker(config);
  } catch (error) {
    did.push((error as Error).message);
  }
  return did;
}

const blocked = (blockedURI: string, disposition: string) => async () => {
  // As in browsers, the event may come after the rejection.
  setTimeout(() => {
    const detail = { blockedURI, disposition, effectiveDirective: "worker-src", originalPolicy: "script-src 'self'" };
    document.dispatchEvent(Object.assign(new Event("securitypolicyviolation"), detail));
  });
  throw new Error("refused");
};

test("tryWorker leaves nothing behind", async () => {
  assert.deepEqual(await attempt(async () => {}), ["/sw.js /_webpush/", "unregister"]);
});

test("tryWorker asks nothing where the site has a worker", async () => {
  assert.deepEqual(await attempt(async () => {}, {}), []);
});

test("tryWorker names the directive", async () => {
  const ours = "https://site.example/sw.js";
  const said = "the page's Content-Security-Policy (script-src) blocks the service worker /sw.js";
  assert.deepEqual(await attempt(blocked(ours, "enforce")), ["/sw.js /_webpush/", said]);
  assert.deepEqual(await attempt(blocked(ours, "report")), ["/sw.js /_webpush/", "refused"]);
  assert.deepEqual(await attempt(blocked("https://site.example/other.js", "enforce")), ["/sw.js /_webpush/", "refused"]);
});
