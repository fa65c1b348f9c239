import assert from "node:assert/strict";
import { test } from "node:test";
import type { Action } from "../shared/popup";
import { consoleOf, define } from "../testing/page";
import { callByName, perform } from "./action";

class Shop {
  inherited(): void {
    throw new Error("a prototype's");
  }
}

function page() {
  const got: unknown[] = [];
  const shop = Object.assign(new Shop(), {
    name: "shop",
    open(this: unknown, kv: unknown) {
      got.push([this === shop, kv]);
    },
    deep: { down: (kv: unknown) => void got.push(kv) },
  });
  return { got, root: { shop, greet: (kv: unknown) => void got.push(kv), text: "no function", none: null } };
}

const kv = { coupon: "X" };
const rows: [string, string, boolean, unknown[]][] = [
  ["a function", "greet", true, [kv]],
  ["a member, as its object's", "shop.open", true, [[true, kv]]],
  ["deeper", "shop.deep.down", true, [kv]],
  ["none", "missing", false, []],
  ["a path that ends early", "missing.greet", false, []],
  ["of nothing", "none.greet", false, []],
  ["a text", "text", false, []],
  ["a text's own", "text.at", false, []],
  ["of a prototype", "shop.inherited", false, []],
  ["toString", "toString", false, []],
  ["constructor", "shop.constructor", false, []],
  ["__proto__", "__proto__.toString", false, []],
  ["empty", "", false, []],
];

for (const [name, path, want, calls] of rows) {
  test("callByName: " + name, () => {
    const { root, got } = page();
    assert.equal(callByName(root, path, kv), want);
    assert.deepEqual(got, calls);
  });
}

const actions: [string, Action, string[]][] = [
  ["same tab", { do: "open", url: "https://shop.example/a" }, ["go https://shop.example/a"]],
  ["new tab", { do: "open", url: "https://shop.example/a", newTab: true }, ["open https://shop.example/a _blank noopener"]],
  ["no address", { do: "open" }, []],
  ["permission", { do: "subscribe" }, ["subscribe"]],
  ["function", { do: "call", function: "greet" }, ["greet X"]],
  ["nothing", { do: "none", url: "https://shop.example/a" }, []],
  ["empty", {}, []],
];

for (const [name, action, want] of actions) {
  test("perform: " + name, () => {
    const did: string[] = [];
    const window = {
      open: (...args: string[]) => did.push("open " + args.join(" ")),
      greet: (given: Record<string, string>) => did.push("greet " + given.coupon),
    };
    define({ window, location: { assign: (url: string) => did.push("go " + url) } });
    perform(action, kv, { subscribe: () => did.push("subscribe") });
    assert.deepEqual(did, want);
  });
}

test("perform: a function that throws, or is not there, breaks nothing", () => {
  const later: (() => void)[] = [];
  const { warn } = console;
  const { setTimeout } = globalThis;
  let warned = "";
  console.warn = (text: string) => void (warned = text);
  define({ window: { bad: () => { throw new Error("the site's"); } }, setTimeout: (run: () => void) => later.push(run) });
  consoleOf(() => perform({ do: "call", function: "bad" }, {}, { subscribe: () => 0 }));
  perform({ do: "call", function: "gone" }, {}, { subscribe: () => 0 });
  console.warn = warn;
  define({ setTimeout });
  assert.throws(() => later[0]!());
  assert.ok(/no function gone/.test(warned), warned);
});
