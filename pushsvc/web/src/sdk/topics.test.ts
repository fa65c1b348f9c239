import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config } from "../shared/wire";
import { define, storageArea } from "../testing/page";
import { checkedOf, choose, chosen, topicsOf } from "./topics";

const topics = [
  { id: "news", label: "News", checked: true },
  { id: "deals", label: "Deals" },
];
const config = { prompt: { topics } } as Config;

test("the site's defaults, then what was chosen, then its defaults again", () => {
  const localStorage = storageArea();
  define({ window: { localStorage } });
  assert.equal(chosen(), undefined);
  assert.deepEqual(topicsOf(config), topics);
  assert.deepEqual(checkedOf(config), ["news"]);
  choose(["gone", "deals"]);
  assert.deepEqual(chosen(), ["gone", "deals"]);
  assert.deepEqual(checkedOf(config), ["deals"]);
  choose([]);
  assert.deepEqual(checkedOf(config), []);
  choose();
  assert.equal(localStorage.length, 0);
  assert.deepEqual(checkedOf(config), ["news"]);
});

test("a site without topics", () => {
  define({ window: { localStorage: storageArea() } });
  choose(["news"]);
  assert.equal(topicsOf({ prompt: {} } as Config), undefined);
  assert.equal(checkedOf({} as Config), undefined);
  choose();
});

test("anything else in the storage is not a choice", () => {
  const localStorage = storageArea();
  define({ window: { localStorage } });
  for (const text of ["", "{", "null", "5", '"news"', "{}"]) {
    localStorage.setItem("webpush:topics", text);
    assert.equal(chosen(), undefined, text);
    assert.deepEqual(checkedOf(config), ["news"]);
  }
});

test("a choice where storage is blocked lasts as long as the page", () => {
  define({
    window: {
      get localStorage(): Storage {
        throw new Error("blocked");
      },
    },
  });
  choose(["deals"]);
  assert.deepEqual(checkedOf(config), ["deals"]);
  choose();
});
