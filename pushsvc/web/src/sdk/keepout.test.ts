import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config } from "../shared/wire";
import { define } from "../testing/page";
import { keepOut } from "./keepout";

const config = { prefix: "/_webpush", vendorScripts: "^(https?:)?//([^/]*\\.)?vendor\\.example/" } as Config;
const ours = "https://shop.example/_webpush/sdk.js";

/** A page whose scripts only keep their addresses, and whose write only keeps its text. */
function page(): { script: () => any; written: string[]; document: any } {
  class ElementOf {
    attributes: Record<string, string> = {};
    setAttribute(name: string, value: string) {
      this.attributes[name.toLowerCase()] = String(value);
    }
  }
  class Script extends ElementOf {
    get src() {
      return this.attributes.src ?? "";
    }
    set src(url: string) {
      this.attributes.src = String(url);
    }
  }
  const written: string[] = [];
  class Doc {
    write(...html: string[]) {
      written.push(html.join(""));
    }
  }
  define({ Element: ElementOf, HTMLScriptElement: Script, Document: Doc, location: new URL("https://shop.example/a") });
  keepOut(config);
  return { script: () => new Script(), written, document: new Doc() };
}

const rows: [string, string][] = [
  ["https://cdn.vendor.example/a.js", ours],
  ["//vendor.example/a.js", ours],
  [" https://vendor.example/a.js", ours],
  ["https://vendor.example.org/a.js", "https://vendor.example.org/a.js"],
  ["/a.js?of=//vendor.example/", "/a.js?of=//vendor.example/"],
];

for (const [url, want] of rows) {
  test("keepOut: " + url, () => {
    const { script, written, document } = page();
    const [one, two, three] = [script(), script(), script()];
    one.src = url;
    two.setAttribute("SRC", url);
    three.setAttribute("data-src", url);
    assert.deepEqual([one.src, two.src, three.attributes["data-src"]], [want, want, url]);
    if (url.startsWith(" ")) return;
    document.write(`<p><script async src="${url}"></`, `script><script>x</script><img src="${url}">`);
    assert.deepEqual(written, [`<p><script async src="${want}"></script><script>x</script><img src="${url}">`]);
  });
}
