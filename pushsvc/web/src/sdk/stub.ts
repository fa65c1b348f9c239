// What must be there before compat.js has come: window.clevertap, and the end of
// CleverTap's own script.

import type { Config } from "../shared/wire";
import { load } from "./lazy";
import type { SDK } from "./sdk";

/** compat.js as a module. */
export interface Compat {
  /** The API object; every stub has become the same. */
  install(sdk: SDK, config: Config, stubs: Stub[]): Stub & { adopt(stub: Stub): void };
  /** Reads once what CleverTap left in the visitor's storage. */
  adoptStorage(): void;
}

/** What a page made before the SDK came, or what we made for it. */
export type Stub = Record<string, unknown>;

const methods = ["init", "logout", "clear", "setLogLevel", "pageChanged"];
const queues = ["event", "profile", "account", "onUserLogin", "notifications", "privacy"];

/** Puts window.clevertap and window.wizrocket on the page. Pages make their stub
 * by assignment, before us, after us, after compat.js has come: all are replayed. */
export function stubClevertap(sdk: SDK, config: Config): Promise<void> {
  keepOut();
  const page = window as unknown as Record<string, Stub | undefined>;
  const calls: [string, unknown[]][] = [];
  let current: Stub = page.clevertap ?? page.wizrocket ?? { calls };
  if (current.calls === calls) {
    for (const name of queues) current[name] = [];
    for (const name of methods) current[name] = (...args: unknown[]) => void calls.push([name, args]);
  }
  const stubs = [current];
  let assigned = (stub: Stub): void => {
    stubs.push((current = stub));
  };
  for (const name of ["clevertap", "wizrocket"]) {
    const set = (stub: Stub) => {
      if (stub && stub !== current) assigned(stub);
    };
    try {
      Object.defineProperty(page, name, { get: () => current, set, configurable: true, enumerable: true });
    } catch {
      // Made by `var` in a script before ours: not configurable, and it stays.
    }
  }
  return load<Compat>(config, "compat").then((compat) => {
    const api = compat.install(sdk, config, stubs);
    assigned = (stub) => api.adopt(stub);
    current = api;
    for (const name of ["clevertap", "wizrocket"]) if (page[name] !== api) page[name] = api;
  });
}

const vendor = /^(https?:)?\/\/([^/]*\.)?(clevertap\.com|wzrkt\.com|d2r1yp2w7bby2u\.cloudfront\.net)\/|\/clevertap(\.min)?\.js/;

/** CleverTap's embed snippet puts a script of theirs on the page. It gets no
 * address: then nothing is fetched, and nothing of the page fails. */
function keepOut(): void {
  const prototype = HTMLScriptElement.prototype;
  const src = Object.getOwnPropertyDescriptor(prototype, "src")!;
  Object.defineProperty(prototype, "src", {
    ...src,
    set(this: HTMLScriptElement, url: string) {
      if (vendor.test(String(url))) this.dataset.webpush = "not loaded";
      else src.set!.call(this, url);
    },
  });
}
