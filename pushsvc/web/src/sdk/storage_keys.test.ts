import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { People } from "../compat/people";
import { Person } from "../onesignal/person";
import type { Config } from "../shared/wire";
import { listedArea } from "../testing/area";
import { define } from "../testing/page";
import { forgetAll } from "./forget";
import { SDK } from "./sdk";
import { local, session, storedNames } from "./storage";
import { localKeys, sessionKeys } from "./storage_keys";

type Row = { writtenBy: readonly string[]; values?: readonly string[]; optOut: string; logout: string };

const tables: Record<string, Record<string, Row>> = { local: localKeys, session: sessionKeys };

/** The sources by their names without ending, tests aside. */
const sources = readdirSync("../src", { recursive: true })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts") && !file.endsWith(".test.ts") && !file.startsWith("testing/"))
  .map((file): [string, string] => [file.slice(0, -3), readFileSync("../src/" + file, "utf8")]);

/** The uses of storage in a source, as "store method name". A name that is not written out
 * is "". */
const usesIn = (source: string): string[] =>
  [...source.matchAll(/\b(local|session)\.(get|set|remove)\b(?:\(\s*"([^"]*)")?/g)].map(([, store, method, name = ""]) => [store, method, name].join(" "));

/** The uses whose name is not written out, and why they need no row. */
const computed: Record<string, string> = {
  "compat/people local get": "stored(): ev and pr, by its type",
  "compat/people local remove": "forget(): a list of rows, by its type",
  "sdk/forget local remove": "all names",
  "sdk/forget session remove": "all names",
  "sdk/queue local get": "queue:*",
  "sdk/queue local set": "queue:*",
  "sdk/sdk local remove": "queue:*",
  "track/sender local get": "queue:*",
  "track/sender local remove": "queue:*",
};

test("storage keys: every item that the sources use has a row, and every row is used", () => {
  assert.ok(sources.length > 90, "only " + sources.length + " sources");
  const writers: Record<string, Set<string>> = {};
  const read = new Set<string>();
  const found = new Set<string>();
  for (const [file, source] of sources) {
    for (const use of usesIn(source)) {
      const [store, method, name] = use.split(" ") as [string, string, string];
      if (!name) {
        found.add(`${file} ${store} ${method}`);
        continue;
      }
      assert.ok(tables[store]![name], `${file}: there is no row for ${store} ${name}`);
      if (method === "set") (writers[store + " " + name] ??= new Set()).add(file);
      if (method === "get") read.add(store + " " + name);
    }
    for (const [, name] of source.matchAll(/\bstored(?:<[^(]*>)?\("(\w+)"\)/g)) read.add("local " + name);
  }
  assert.deepEqual([...found].sort(), Object.keys(computed).sort());
  for (const [store, table] of Object.entries(tables)) {
    for (const [name, row] of Object.entries(table)) {
      if (name === "queue:*") continue;
      assert.deepEqual([...(writers[store + " " + name] ?? [])].sort(), row.writtenBy, `${store} ${name}: writtenBy`);
      assert.ok(read.has(store + " " + name), `${store} ${name} is written and never read`);
    }
  }
});

test("storage keys: other code does not touch the areas", () => {
  const direct = sources.filter(([, source]) => /\b(localStorage|sessionStorage)\s*[.[]/.test(source.replace(/\/\*[^]*?\*\/|\/\/.*/g, "")));
  // All of them read what other providers wrote.
  assert.deepEqual(direct.map(([file]) => file).sort(), ["compat/log", "compat/storage", "onesignal/main", "sdk/adopt", "sdk/log"]);
});

test("storage keys: what the rule finds", () => {
  assert.deepEqual(usesIn(`local.get("a"); session.set(\n  "b", x); local.remove(name); names.forEach(local.remove); other.get("c")`), ["local get a", "session set b", "local remove ", "local remove "]);
});

const area = (store: string): Storage => (store === "local" ? localStorage : sessionStorage);

type Column = "optOut" | "logout";

/** A page with every item in its storage, except those that the column says are written. */
function fullPage(column: Column): SDK {
  define({
    window: globalThis,
    localStorage: listedArea(),
    sessionStorage: listedArea(),
    location: new URL("https://shop.example/"),
    navigator: { language: "de" },
    document: { referrer: "", getElementById: () => null },
    isSecureContext: false,
    addEventListener: () => {},
  });
  for (const [store, table] of Object.entries(tables)) {
    for (const [name, row] of Object.entries(table)) {
      if (row[column] !== "written") area(store).setItem("webpush:" + name.replace("*", "1"), row.values?.[0] ?? "1");
    }
  }
  local.set("os", '{"externalId":"7"}');
  // The visit goes on.
  local.set("seen", String(Date.now()));
  return new SDK({ version: "1", prefix: "/_webpush", scope: "/" } as Config);
}

/** Compares what is left with a column of the tables. */
function check(column: Column): void {
  for (const [store, table] of Object.entries(tables)) {
    for (const [name, row] of Object.entries(table)) {
      const item = area(store).getItem("webpush:" + name.replace("*", "1"));
      assert.equal(row[column] === "removed", !item, `${store} ${name}: ${column} is ${row[column]}, and it holds ${item}`);
    }
  }
}

test("storage keys: what an opt-out leaves", () => {
  fullPage("optOut").privacy({ optOut: true });
  check("optOut");
  assert.equal(storedNames("localStorage", "queue:").length, 1, "the opt-out waits to be sent");
});

test("storage keys: what a log-out leaves", async () => {
  const sdk = fullPage("logout");
  const person = new Person(sdk, () => {});
  await person.logout();
  assert.ok(!local.get("os").includes("7"));
  new People(sdk).logout();
  check("logout");
});

test("storage keys: retire removes all, and nothing of the site's", () => {
  fullPage("optOut");
  localStorage.setItem("cart", "1");
  sessionStorage.setItem("webpushed", "1");
  forgetAll();
  assert.deepEqual([Object.keys(localStorage), Object.keys(sessionStorage)], [["cart"], ["webpushed"]]);
  assert.equal(session.get("debug"), "");
});
