// Keeps the page script of a provider away if we provide its API.

import { ownURL } from "../shared/address";
import type { Config } from "../shared/wire";
import { scriptURL } from "./worker";

/** Makes every script element for the provider's address load our script instead, which
 * does nothing the second time. So nothing of theirs is fetched, and the load events that
 * the page waits for come in their order. The injector has replaced the address in the
 * page's own HTML (Go: injector, Displaces). */
export function keepOut(config: Config): void {
  const theirs = new RegExp(config.vendorScripts!);
  const instead = (url: unknown) => (theirs.test(String(url).trim()) ? scriptURL(config, ownURL(config.prefix + "/sdk.js")) : url);
  const prototype = HTMLScriptElement.prototype;
  const src = Object.getOwnPropertyDescriptor(prototype, "src")!;
  Object.defineProperty(prototype, "src", {
    ...src,
    set(url: unknown) {
      src.set!.call(this, instead(url));
    },
  });
  const { setAttribute } = prototype;
  prototype.setAttribute = function (name, value) {
    setAttribute.call(this, name, (/^src$/i.test(name) ? instead(value) : value) as string);
  };
  const { write } = Document.prototype;
  Document.prototype.write = function (...html) {
    write.apply(
      this,
      html.map((part) => part.replace?.(/(<script[^>]*\ssrc\s*=\s*["']?)([^"'\s>]+)/gi, (_, tag: string, url: string) => tag + instead(url)) ?? part),
    );
  };
}
