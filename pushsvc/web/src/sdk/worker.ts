import type { Config } from "../shared/wire";
import { session } from "./storage";

interface PolicyFactory {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): {
    createScriptURL(url: string): string;
  };
}

/** The registration whose subscription is ours, if there is one. The root
 * registration comes first: where the site has a worker of its own, the server
 * appends ours to it. */
export async function findWorker(config: Config): Promise<ServiceWorkerRegistration | undefined> {
  const container = navigator.serviceWorker;
  const root = await container.getRegistration("/");
  if (root || config.scope === "/") return root;
  return container.getRegistration(config.scope);
}

/** The registration with an active worker; registers ours where the site has none. */
export async function activeWorker(config: Config): Promise<ServiceWorkerRegistration> {
  const registration = (await findWorker(config)) || (await register(config, config.scope));
  await activation(registration);
  return registration;
}

/** Rejects where our worker cannot be registered on this page, so that nobody is
 * asked for a permission of no use. Tries with a scope that no page is in, and
 * leaves nothing behind; once per tab session, for it is a request. */
export async function tryWorker(config: Config): Promise<void> {
  if (session.get("worker") === config.worker || (await findWorker(config))) return;
  const registration = await register(config, config.prefix + "/");
  session.set("worker", config.worker);
  await registration.unregister();
}

async function register(config: Config, scope: string): Promise<ServiceWorkerRegistration> {
  let blocked = "";
  const watch = (event: SecurityPolicyViolationEvent) => {
    if (event.disposition === "report") return;
    if (event.blockedURI.includes(config.worker) || event.blockedURI.startsWith("trusted-types")) {
      blocked = decidingDirective(event.effectiveDirective, event.originalPolicy);
    }
  };
  document.addEventListener("securitypolicyviolation", watch);
  try {
    return await navigator.serviceWorker.register(scriptURL(config.worker), { scope, updateViaCache: "none" });
  } catch (error) {
    // The event is a task of its own, before or after the rejection.
    await new Promise((resolve) => setTimeout(resolve, 50));
    throw blocked
      ? new Error(`the page's Content-Security-Policy (${blocked}) blocks the service worker ${config.worker}`)
      : error;
  } finally {
    document.removeEventListener("securitypolicyviolation", watch);
  }
}

/** The directive to change: worker-src stands for the first one of its fallbacks
 * that the policy has (CSP level 3, 6.8.3). */
export function decidingDirective(effective: string, policy: string): string {
  const chain = ["worker-src", "child-src", "script-src", "default-src"];
  const has = (name: string) => new RegExp("(^|[;,\\s])" + name + "(?![-\\w])", "i").test(policy);
  return (chain.includes(effective) && chain.find(has)) || effective;
}

let trustedURL: string | undefined;

/** register() is a Trusted Types sink. Where the page's policy does not allow
 * the name `webpush`, a default policy may still accept the string. A name is
 * to be had once. */
function scriptURL(url: string): string {
  const factory = (window as { trustedTypes?: PolicyFactory }).trustedTypes;
  try {
    return (trustedURL ??= factory
      ? factory.createPolicy("webpush", { createScriptURL: () => url }).createScriptURL(url)
      : url);
  } catch {
    return url;
  }
}

/** Resolves when the registration has an activated worker. Not
 * navigator.serviceWorker.ready: that never settles on a page outside the scope. */
function activation(registration: ServiceWorkerRegistration): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error("webpush: the service worker did not become active"));
    const timer = setTimeout(fail, 30_000);
    const check = () => {
      const worker = registration.active || registration.waiting || registration.installing;
      if (worker?.state === "activated") {
        clearTimeout(timer);
        resolve();
      } else if (worker && worker.state !== "redundant") {
        worker.addEventListener("statechange", check, { once: true });
      } else {
        clearTimeout(timer);
        fail();
      }
    };
    check();
  });
}
