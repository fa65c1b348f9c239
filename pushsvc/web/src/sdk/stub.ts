// window.clevertap until compat.js has loaded.

import type { Config } from "../shared/wire";
import { keepOut } from "./keepout";
import { load } from "./lazy";
import type { SDK } from "./sdk";

/** One call: the names that lead to the function, and the arguments. */
export type Call = [path: string[], args: unknown[]];

/** compat.js as a module. */
export interface Compat {
  /** Returns the API object. Every stub works as the API from then on. */
  install(sdk: SDK, config: Config, stubs: Stub[], calls: Call[]): Stub;
  /** Reads what CleverTap left in the visitor's storage. */
  adoptStorage(): void;
}

/** What the page created before the SDK, what CleverTap's SDK in the site's bundle
 * assigned, or what we created. */
export type Stub = Record<string, unknown>;

const queues = /^(event|profile|account|onUserLogin|notifications|privacy|user|session)$/;
const methods = /^(init|logout|clear|pageChanged|delayEvents|enableLocal.*|(add|define|delete|fetc[h]|get|handle|mark|raise|remove|render|set|sync|toggle)[A-Z]\w*)$/;

/** Puts window.clevertap and window.wizrocket on the page. Pages assign their stub before
 * us, after us, or after compat.js: all are replayed. */
export function stubClevertap(sdk: SDK, config: Config): Promise<void> {
  keepOut(config);
  const page = window as unknown as Record<string, Stub | undefined>;
  const calls: Call[] = [];
  const recorder = (path: string[]): object =>
    new Proxy(() => {}, {
      apply: (_, _this, args: unknown[]) => (calls.push([path, args]), path[1] === "push" ? 0 : undefined),
      // An account without an id: with an id, a bundled SDK would start.
      get: (target, name) => (typeof name !== "string" || name in target ? Reflect.get(target, name) : +name || name === "then" ? undefined : name === "0" ? {} : recorder([...path, name])),
    });
  const names = (name: unknown): name is string => typeof name === "string" && (queues.test(name) || methods.test(name));
  const recorders = new Proxy({}, { get: (target, name) => (names(name) ? recorder([name]) : Reflect.get(target, name)) });
  const recording = (stub: Stub): Stub => {
    // An element with that id, or an object that the page has frozen, stays as it is.
    if (stub instanceof Element || !Object.isExtensible(stub)) return stub;
    const bundled = typeof stub.init === "function";
    if (Array.isArray(stub.account)) calls.push([["account", "push"], stub.account]);
    for (const name of Object.keys(stub)) if (name === "account" || (bundled && names(name))) delete stub[name];
    return Object.setPrototypeOf(stub, recorders);
  };
  let current = recording(page.clevertap ?? page.wizrocket ?? {});
  const stubs = [current];
  let assigned = (stub: Stub): void => {
    stubs.push((current = recording(stub)));
  };
  for (const name of ["clevertap", "wizrocket"]) {
    const set = (stub: Stub) => {
      if (stub && stub !== current) assigned(stub);
    };
    try {
      Object.defineProperty(page, name, { get: () => current, set, configurable: true, enumerable: true });
    } catch {
      // Declared by `var` in an earlier script: not configurable, so it stays.
    }
  }
  return load<Compat>(config, "compat").then((compat) => {
    const api = (current = compat.install(sdk, config, stubs, calls));
    // The script that creates a stub fills it afterwards, and the order in it counts.
    assigned = (stub) => {
      current = recording(stub);
      setTimeout(() => {
        (api.adopt as (stub: Stub) => void)(stub);
        if (current === stub) current = api;
      });
    };
    for (const name of ["clevertap", "wizrocket"]) if (page[name] !== current) page[name] = current;
  });
}
