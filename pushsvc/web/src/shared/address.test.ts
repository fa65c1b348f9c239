import assert from "node:assert/strict";
import { test } from "node:test";
import { ownURL, webURL } from "./address";

const base = "https://shop.example/a/b?c";

test("webURL takes http and https, and what is relative to the page", () => {
  assert.equal(webURL("https://x.example/y", base), "https://x.example/y");
  assert.equal(webURL("HTTP://x.example", base), "http://x.example/");
  assert.equal(webURL("/sale", base), "https://shop.example/sale");
  assert.equal(webURL("//x.example/y", base), "https://x.example/y");
  assert.equal(webURL("?q", base), "https://shop.example/a/b?q");
});

test("webURL refuses every other scheme, however it is spelt", () => {
  const refused = ["javascript:alert(1)", "JaVaScRiPt:alert(1)", " \u0001javascript:alert(1)", "java\tscript:alert(1)", "java\nscript:alert(1)",
    "data:text/html,x", "vbscript:x", "blob:https://shop.example/1", "file:///etc/passwd", "about:blank", "http://", "https://[", "mailto:a@b.c", ""];
  for (const text of refused) assert.equal(webURL(text, base), undefined, JSON.stringify(text));
  assert.equal(webURL(undefined, base), undefined);
});

/** Runs check on a page with this origin and address. */
function on(origin: string, href: string, check: () => void): void {
  Object.defineProperty(globalThis, "location", { value: { origin, href }, configurable: true });
  check();
}

test("ownURL is on the page's origin", () =>
  on("http://localhost:8080", "http://localhost:8080/a/b", () => {
    assert.equal(ownURL("/_webpush/events"), "http://localhost:8080/_webpush/events");
    assert.equal(ownURL("/_webpush/ui.js?v=1"), "http://localhost:8080/_webpush/ui.js?v=1");
    assert.equal(webURL("sale"), "http://localhost:8080/a/sale");
  }));

test("ownURL never returns a relative address", () => on("null", "about:srcdoc", () => assert.throws(() => ownURL("/_webpush/events"))));
