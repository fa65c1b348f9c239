import { ownURL } from "../shared/address";
import { like } from "../shared/path";
import type { Config, Policy } from "../shared/wire";
import { Failure, withTimeLimit } from "./failure";
import { local, session } from "./storage";

declare global {
  interface Window {
    trustedTypes?: { createPolicy(name: string, rules: Policy): Policy };
  }
}

/** The registration with our subscription, if there is one. It is the root one, because the
 * server appends our worker to the site's own; with dualRun it is one beside it. Browsers
 * reject the call if the visitor blocks site data; it then returns undefined. */
export async function findWorker(config: Config): Promise<ServiceWorkerRegistration | undefined> {
  const scope = ownURL(config.scope);
  const found = await navigator.serviceWorker.getRegistration(scope).catch(() => undefined);
  return found?.scope === scope ? found : undefined;
}

/** Returns the registration with an active worker. Registers the worker that the page
 * wants, or ours if the site has none; if the page's worker is not a script, the
 * configured one. late runs if the worker comes, or becomes active, after the limit. */
export async function activeWorker(config: Config, late: () => void): Promise<ServiceWorkerRegistration> {
  const { fallback, worker, scope } = config;
  let registration = await findWorker(config);
  if (!registration || (fallback && registration.active?.scriptURL !== ownURL(worker))) {
    try {
      registration = await register(config, scope, late);
    } catch (error) {
      if (!fallback) throw error;
      console.warn(`webpush: ${worker} is not a service worker; ${fallback.worker} is used instead:`, error);
      Object.assign(config, fallback, { fallback: undefined });
      local.remove("worker");
      return activeWorker(config, late);
    }
  }
  await activation(registration, false, late);
  return registration;
}

/** Ends the subscription of the configured worker if the page wants another one: with both,
 * every message would show twice. */
export async function leaveConfigured(config: Config): Promise<void> {
  const { fallback, scope } = config;
  if (!fallback || fallback.scope === scope) return;
  const before = await findWorker({ ...config, ...fallback });
  await (await before?.pushManager.getSubscription())?.unsubscribe();
}

/** Reports whether a registration belongs to a provider that the site moves away from. */
export function isProviders(registration: ServiceWorkerRegistration | undefined, config: Config): boolean {
  const url = registration?.active?.scriptURL;
  return !!url && like(new URL(url).pathname, config.vendorWorkers ?? []);
}

/** Replaces a provider's worker by ours, and removes its other registrations with their
 * subscriptions. kept: the registration with our subscription. */
export async function takeOver(config: Config, kept: ServiceWorkerRegistration): Promise<void> {
  if (!config.vendorWorkers) return;
  if (isProviders(kept, config) && kept.active?.scriptURL !== ownURL(config.worker)) {
    await register(config, config.scope);
    await activation(kept, true);
  }
  for (const other of await navigator.serviceWorker.getRegistrations()) {
    // A registration below our prefix is left over from a dual run.
    const old = isProviders(other, config) || other.scope === ownURL(config.prefix + "/");
    if (old && other.scope !== kept.scope) await other.unregister();
  }
}

/** Rejects if our worker cannot be registered on this page, so that the visitor is not
 * asked for a useless permission. It tries with a scope that has no pages and unregisters
 * afterwards; once per tab session, because it is a request. */
export async function tryWorker(config: Config): Promise<void> {
  // The page's own worker has no such scope; a failure shows when it is used.
  if (config.fallback || session.get("worker") === config.worker || (await findWorker(config))) return;
  const registration = await register(config, config.prefix + "/", (late) => late.unregister());
  session.set("worker", config.worker);
  await registration.unregister();
}

/** Rejects with a Failure. late receives a registration that comes after the limit. */
async function register(config: Config, scope: string, late?: (registration: ServiceWorkerRegistration) => void): Promise<ServiceWorkerRegistration> {
  let blocked = "";
  const watch = (event: SecurityPolicyViolationEvent) => {
    if (event.disposition === "report") return;
    if (event.blockedURI.includes(config.worker) || event.blockedURI.startsWith("trusted-types")) {
      blocked = decidingDirective(event.effectiveDirective, event.originalPolicy);
    }
  };
  document.addEventListener("securitypolicyviolation", watch);
  try {
    const registering = navigator.serviceWorker.register(scriptURL(config, ownURL(config.worker)), { scope: ownURL(scope), updateViaCache: "none" });
    return await withTimeLimit(registering, "worker_timeout", late);
  } catch (error) {
    if (error instanceof Failure) throw error;
    // The event comes in a task of its own, before or after the rejection.
    await new Promise((resolve) => setTimeout(resolve, 50));
    throw blocked ? new Failure("worker_blocked", { message: `${blocked}, ${config.worker}` }) : new Failure("worker_failed", error);
  } finally {
    document.removeEventListener("securitypolicyviolation", watch);
  }
}

/** The directive to change: worker-src falls back to the first of the others that the
 * policy has (CSP level 3, 6.8.3). */
export function decidingDirective(effective: string, policy: string): string {
  const chain = ["worker-src", "child-src", "script-src", "default-src"];
  const has = (name: string) => new RegExp("(^|[;,\\s])" + name + "(?![-\\w])", "i").test(policy);
  return (chain.includes(effective) && chain.find(has)) || effective;
}

/** Converts one of our addresses for a Trusted Types sink: register(), or the src of a
 * script. If the page's policy does not allow the name `webpush`, a default policy may
 * still accept the string. The config holds the policy, because all our modules share it
 * and a name can be used once. */
export function scriptURL(config: Config, url: string): string {
  try {
    return (config.policy ??= window.trustedTypes!.createPolicy("webpush", { createScriptURL: (text) => text })).createScriptURL(url);
  } catch {
    return url; // also without Trusted Types
  }
}

/** Resolves when the registration has an activated worker; with newest, when the latest
 * worker is activated. Not navigator.serviceWorker.ready: it never resolves on a page
 * outside the scope. */
function activation(registration: ServiceWorkerRegistration, newest: boolean, late?: () => void): Promise<void> {
  const active = new Promise<void>((resolve, reject) => {
    const check = () => {
      const { active, waiting, installing } = registration;
      const worker = newest ? installing || waiting || active : active || waiting || installing;
      if (worker?.state === "activated") resolve();
      else if (worker && worker.state !== "redundant") worker.addEventListener("statechange", check, { once: true });
      else reject(new Failure("worker_failed", { message: "its installation failed" }));
    };
    check();
  });
  return withTimeLimit(active, "worker_timeout", late);
}
