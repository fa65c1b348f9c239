import assert from "node:assert/strict";
import { test } from "node:test";
import { define } from "../testing/page";
import { mendManifest } from "./manifest";

/** A link before a script, with its address relative to the page's base. */
function page(link: { rel?: string; written?: string; leads: string } | null, src: string) {
  const previous = link && { rel: link.rel ?? "manifest", href: link.leads, getAttribute: () => link.written ?? "/manifest.json" };
  const script = { previousElementSibling: previous, getAttribute: () => src } as unknown as Element;
  define({ location: new URL("https://shop.example/a/b") });
  mendManifest(script, "/manifest.json");
  return previous?.href;
}

const away = "https://other.example/manifest.json";
const sdk = "/_webpush/sdk.js";

test("our link leads to this origin", () => assert.equal(page({ leads: away }, sdk), "https://shop.example/manifest.json"));

const kept: [string, Parameters<typeof page>, string | undefined][] = [
  ["a link with another path is the page's", [{ leads: away, written: "/app.json" }, sdk], away],
  ["where our script is absolute, so is our link", [{ leads: away }, "https://shop.example" + sdk], away],
  ["no manifest's link", [{ leads: away, rel: "icon" }, sdk], away],
  ["one that is right is not touched", [{ get leads() { return "https://shop.example/manifest.json"; } }, sdk], "https://shop.example/manifest.json"],
  ["no link", [null, sdk], undefined],
];
for (const [name, given, want] of kept) test(name, () => assert.equal(page(...given), want));

test("no script and no path", () => {
  mendManifest(null, "/manifest.json");
  mendManifest(null, undefined);
});
