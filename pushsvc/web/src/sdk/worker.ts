import { ownURL } from "../shared/address";
import { like } from "../shared/path";
import type { Config, Policy } from "../shared/wire";
import { Failure, within } from "./failure";
import { local, session } from "./storage";

declare global {
  interface Window {
    trustedTypes?: { createPolicy(name: string, rules: Policy): Policy };
  }
}

/** The registration whose subscription is ours, if there is one: the root one,
 * because where the site has a worker of its own, the server appends ours to it;
 * with dualRun one beside it. Browsers reject the mere question where the visitor
 * blocks site data: then there is none. */
export async function findWorker(config: Config): Promise<ServiceWorkerRegistration | undefined> {
  const scope = ownURL(config.scope);
  const found = await navigator.serviceWorker.getRegistration(scope).catch(() => undefined);
  return found?.scope === scope ? found : undefined;
}

/** The registration with an active worker; registers ours where the site has none, and
 * the one that the page wants. Where that is no script, ours after all. late is called
 * where one comes, or becomes active, after the limit. */
export async function activeWorker(config: Config, late: () => void): Promise<ServiceWorkerRegistration> {
  const { fallback, worker, scope } = config;
  let registration = await findWorker(config);
  if (!registration || (fallback && registration.active?.scriptURL !== ownURL(worker))) {
    try {
      registration = await register(config, scope, late);
    } catch (error) {
      if (!fallback) throw error;
      console.warn(`webpush: ${worker} is no service worker; ${fallback.worker} is used instead:`, error);
      Object.assign(config, fallback, { fallback: undefined });
      local.remove("worker");
      return activeWorker(config, late);
    }
  }
  await activation(registration, false, late);
  return registration;
}

/** Ends the subscription by the worker that was configured, where the page wants
 * another one: two would show everything twice. */
export async function leaveConfigured(config: Config): Promise<void> {
  const { fallback, scope } = config;
  if (!fallback || fallback.scope === scope) return;
  const before = await findWorker({ ...config, ...fallback });
  await (await before?.pushManager.getSubscription())?.unsubscribe();
}

/** Whether a registration is that of a provider whom the site moves away from. */
export function isVendors(registration: ServiceWorkerRegistration | undefined, config: Config): boolean {
  const url = registration?.active?.scriptURL;
  return !!url && like(new URL(url).pathname, config.vendorWorkers ?? []);
}

/** Puts our worker in the place of a provider's, and takes its other registrations
 * away, with their subscriptions. kept is the one that has our subscription. */
export async function takeOver(config: Config, kept: ServiceWorkerRegistration): Promise<void> {
  if (!config.vendorWorkers) return;
  if (isVendors(kept, config) && kept.active?.scriptURL !== ownURL(config.worker)) {
    await register(config, config.scope);
    await activation(kept, true);
  }
  for (const other of await navigator.serviceWorker.getRegistrations()) {
    // Below our prefix there is one from the time of a dual run.
    const old = isVendors(other, config) || other.scope === ownURL(config.prefix + "/");
    if (old && other.scope !== kept.scope) await other.unregister();
  }
}

/** Rejects where our worker cannot be registered on this page, so that nobody is
 * asked for a permission of no use. Tries with a scope that no page is in, and
 * leaves nothing behind; once per tab session, for it is a request. */
export async function tryWorker(config: Config): Promise<void> {
  // The page's own has no such scope; what becomes of it shows when it is used.
  if (config.fallback || session.get("worker") === config.worker || (await findWorker(config))) return;
  const registration = await register(config, config.prefix + "/", (late) => late.unregister());
  session.set("worker", config.worker);
  await registration.unregister();
}

/** Rejects with a Failure; late gets a registration that comes after the limit. */
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
    return await within(registering, "worker_timeout", late);
  } catch (error) {
    if (error instanceof Failure) throw error;
    // The event is a task of its own, before or after the rejection.
    await new Promise((resolve) => setTimeout(resolve, 50));
    throw blocked ? new Failure("worker_blocked", { message: `${blocked}, ${config.worker}` }) : new Failure("worker_failed", error);
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

/** One of our addresses for a Trusted Types sink: register(), or the src of a script.
 * Where the page's policy does not allow the name `webpush`, a default policy may still
 * accept the string. The policy is in the config, which all our modules share: a name
 * is to be had once. */
export function scriptURL(config: Config, url: string): string {
  try {
    return (config.policy ??= window.trustedTypes!.createPolicy("webpush", { createScriptURL: (own) => own })).createScriptURL(url);
  } catch {
    return url; // without Trusted Types, too
  }
}

/** Resolves when the registration has an activated worker, or with newest when the
 * latest one is. Not
 * navigator.serviceWorker.ready: that never settles on a page outside the scope. */
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
  return within(active, "worker_timeout", late);
}
