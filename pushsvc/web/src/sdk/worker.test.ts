import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config } from "../shared/wire";
import { findWorker, decidingDirective, isProviders, takeOver, tryWorker } from "./worker";

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

/** Runs tryWorker on a page whose register() answers in this way. */
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
  define("location", { origin: "https://site.example" });
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

test("tryWorker leaves no registration", async () => {
  assert.deepEqual(await attempt(async () => {}), ["https://site.example/sw.js https://site.example/_webpush/", "unregister"]);
});

test("tryWorker asks nothing where the site has a worker", async () => {
  assert.deepEqual(await attempt(async () => {}, { scope: "https://site.example/" }), []);
});

test("tryWorker: a registration elsewhere is not the one", async () => {
  const elsewhere = { scope: "https://site.example/app/" };
  assert.deepEqual(await attempt(async () => {}, elsewhere), ["https://site.example/sw.js https://site.example/_webpush/", "unregister"]);
});

test("tryWorker names the directive", async () => {
  const ours = "https://site.example/sw.js";
  const said = "worker_blocked: the page's Content-Security-Policy blocks the service worker (script-src, /sw.js)";
  const refused = "worker_failed: the service worker cannot be registered (refused)";
  assert.deepEqual(await attempt(blocked(ours, "enforce")), ["https://site.example/sw.js https://site.example/_webpush/", said]);
  assert.deepEqual(await attempt(blocked(ours, "report")), ["https://site.example/sw.js https://site.example/_webpush/", refused]);
  assert.deepEqual(await attempt(blocked("https://site.example/other.js", "enforce")), ["https://site.example/sw.js https://site.example/_webpush/", refused]);
});

/** One registration of the site, by its scope and its worker's address. */
function registration(scope: string, script: string, did: string[]) {
  const active = Object.assign(new EventTarget(), { scriptURL: "https://site.example" + script, state: "activated" });
  return {
    scope: "https://site.example" + scope,
    active,
    unregister: async () => did.push("unregister " + scope),
  } as unknown as ServiceWorkerRegistration;
}

/** Runs takeOver for the first of the registrations. */
async function move(vendorWorkers: string[] | undefined, ...all: [string, string][]): Promise<string[]> {
  const did: string[] = [];
  const registrations = all.map(([scope, script]) => registration(scope, script, did));
  const serviceWorker = {
    getRegistrations: async () => registrations,
    register: async (url: string, { scope }: { scope: string }) => void did.push(`${url} ${scope}`),
  };
  const define = (name: string, value: unknown) => Object.defineProperty(globalThis, name, { value, configurable: true });
  define("window", globalThis);
  define("document", new EventTarget());
  define("location", { origin: "https://site.example" });
  define("navigator", { serviceWorker });
  await takeOver({ ...config, vendorWorkers }, registrations[0]!);
  return did;
}

const vendor = ["/OneSignalSDKWorker.js", "/push/onesignal/OneSignalSDKWorker.js"];

test("takeOver puts ours in the place of a provider's worker", async () => {
  assert.deepEqual(await move(vendor, ["/", "/OneSignalSDKWorker.js?appId=1"]), ["https://site.example/sw.js https://site.example/"]);
});

test("takeOver ends a provider's registrations beside ours, and the dual run's", async () => {
  const all: [string, string][] = [["/", "/sw.js"], ["/push/onesignal/", vendor[1]!], ["/_webpush/", "/sw.js"], ["/app/", "/app/sw.js"]];
  assert.deepEqual(await move(vendor, ...all), ["unregister /push/onesignal/", "unregister /_webpush/"]);
});

test("takeOver changes nothing if the site does not move away from a provider", async () => {
  assert.deepEqual(await move(undefined, ["/", "/OneSignalSDKWorker.js"], ["/_webpush/", "/sw.js"]), []);
});

test("takeOver does not register over our own path, where the site's worker may be", async () => {
  assert.deepEqual(await move(["/sw.js"], ["/", "/sw.js"]), []);
});

test("isProviders compares whole paths", () => {
  const with_ = (vendorWorkers?: string[]) => ({ ...config, vendorWorkers }) as Config;
  assert.equal(isProviders(registration("/", "/a/OneSignalSDKWorker.js", []), with_(vendor)), false);
  assert.equal(isProviders(registration("/", "/OneSignalSDKWorker.js", []), with_()), false);
  assert.equal(isProviders(undefined, with_(vendor)), false);
});

test("isProviders: one that begins with an asterisk is a file in any folder", () => {
  const config_ = { ...config, vendorWorkers: ["*/OneSignalSDKWorker.js.php"] } as Config;
  const is = (path: string) => isProviders(registration("/", path, []), config_);
  const plugin = "/onesignal-free-web-push-notifications/sdk_files/OneSignalSDKWorker.js.php";
  assert.deepEqual([plugin, "/blog/wp-content/plugins" + plugin, "/OneSignalSDKWorker.js.php?appId=1"].map(is), [true, true, true]);
  assert.deepEqual(["/OneSignalSDKWorker.js", "/MyOneSignalSDKWorker.js.php", "/OneSignalSDKWorkerxjs.php"].map(is), [false, false, false]);
});

test("findWorker asks for a scope of this origin", async () => {
  const asked: string[] = [];
  const getRegistration = async (scope: string) => void asked.push(scope);
  Object.defineProperty(globalThis, "location", { value: { origin: "https://site.example" }, configurable: true });
  Object.defineProperty(globalThis, "navigator", { value: { serviceWorker: { getRegistration } }, configurable: true });
  assert.equal(await findWorker(config), undefined);
  assert.deepEqual(asked, ["https://site.example/"]);
});

test("where site data is blocked there is no worker, and no exception", async () => {
  const refuse = () => Promise.reject(new DOMException("blocked", "NotSupportedError"));
  Object.defineProperty(globalThis, "navigator", { value: { serviceWorker: { getRegistration: refuse } }, configurable: true });
  assert.equal(await findWorker(config), undefined);
});
