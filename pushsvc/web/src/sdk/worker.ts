import type { Config } from "../shared/wire";

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
  const registration =
    (await findWorker(config)) ||
    (await navigator.serviceWorker.register(scriptURL(config.worker), {
      scope: config.scope,
      updateViaCache: "none",
    }));
  await activation(registration);
  return registration;
}

/** register() is a Trusted Types sink. Where the page's policy does not allow
 * the name `webpush`, a default policy may still accept the string. */
function scriptURL(url: string): string {
  const factory = (window as { trustedTypes?: PolicyFactory }).trustedTypes;
  try {
    return factory
      ? factory.createPolicy("webpush", { createScriptURL: () => url }).createScriptURL(url)
      : url;
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
