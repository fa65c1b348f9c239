import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config } from "../shared/wire";
import { clickURL, ownData, parsePayload, planPush, webURL } from "./payload";

const base = "https://site.example/";
const config: Config = {
  version: "v",
  site: "site.example",
  name: "Acme",
  icon: "/icon.png",
  key: "k",
  prefix: "/_webpush",
  worker: "/sw.js",
  scope: "/",
  standalone: true,
};
const appended: Config = { ...config, standalone: undefined };

/** A push message with this text; undefined: a push without data. */
const message = (raw: string | undefined) => (raw === undefined ? null : { json: () => JSON.parse(raw) as unknown });

const plan = (notification: object, others: object = {}) =>
  planPush(message(JSON.stringify({ id: "m1", token: "t1", notification: { title: "T", ...notification }, ...others })), config, base)!;

test("webURL lets only http and https through", () => {
  assert.equal(webURL("https://x.example/a b", base), "https://x.example/a%20b");
  assert.equal(webURL("/p", base), "https://site.example/p");
  const bad = ["", "javascript:alert(1)", " JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "data:text/html,x",
    "blob:https://site.example/1", "file:///etc/passwd", "vbscript:x", "https://", null, 5, {}, ["https://x.example/"]];
  for (const value of bad) assert.equal(webURL(value, base), "", JSON.stringify(value));
});

test("a full message", () => {
  const got = plan(
    {
      navigate: "https://site.example/story", body: "B", icon: "https://x.example/i", image: "/im", badge: "/b", tag: "tag",
      dir: "rtl", lang: "ar", timestamp: 5, renotify: true, requireInteraction: true, vibrate: [100, 50], data: { k: [1] },
      actions: [{ action: "a", title: "A", navigate: "https://site.example/a", icon: "/ai" }, { action: "b", title: "B" }],
    },
    { app_badge: 3 },
  );
  assert.deepEqual(got, {
    title: "T",
    badge: 3,
    options: {
      body: "B", lang: "ar", tag: "tag", icon: "https://x.example/i", image: base + "im", badge: base + "b", dir: "rtl",
      timestamp: 5, requireInteraction: true, renotify: true, vibrate: [100, 50],
      actions: [{ action: "a", title: "A", icon: base + "ai" }, { action: "b", title: "B" }],
      data: {
        webpush: true, url: "https://site.example/story", actions: { a: "https://site.example/a" },
        message: "m1", token: "t1", data: { k: [1] },
      },
    },
  });
});

test("combinations that make showNotification throw are dropped", () => {
  const silent = plan({ silent: true, vibrate: [1] }).options;
  assert.equal(silent.silent, true);
  assert.equal("vibrate" in silent, false);
  const untagged = plan({ renotify: true }).options;
  assert.equal("renotify" in untagged, false);
  assert.equal(untagged.tag, "webpush:m1");
  assert.equal(plan({ renotify: true, tag: "x" }).options.renotify, true);
});

test("members of a wrong type are dropped one by one", () => {
  const { title, options } = plan({
    title: "T", body: 5, icon: 7, image: "javascript:x", badge: {}, tag: [], dir: "up", lang: null, vibrate: [1, "2"],
    timestamp: "now", renotify: "yes", silent: 1, requireInteraction: "true", navigate: "javascript:alert(1)",
    actions: [null, 3, {}, { action: "", title: "x" }, { action: "x" }, { action: "ok", title: "OK", navigate: "data:,x" }],
  });
  assert.equal(title, "T");
  assert.deepEqual(options, {
    icon: base + "icon.png",
    tag: "webpush:m1",
    actions: [{ action: "ok", title: "OK" }],
    data: { webpush: true, url: "", actions: {}, message: "m1", token: "t1", data: null },
  });
  for (const actions of [null, {}, "x", 4]) assert.equal("actions" in plan({ actions }).options, false);
});

test("app_badge must be a whole number from 0", () => {
  for (const app_badge of [-1, 1.5, "3", null, {}, 1e30]) assert.equal(plan({}, { app_badge }).badge, undefined);
  assert.equal(plan({}, { app_badge: 0 }).badge, 0);
});

const garbage: (string | undefined)[] = [undefined, "", "garbage", "null", "[]", "1", "{}", '{"id":"m","notification":[]}',
  '{"title":5,"alert":{},"notificationOptions":"x","deepLink":["/x"]}', '{"notification":{"title":""}}'];

const foreign: [string, string, string | undefined, string][] = [
  ['{"title":"Plain","body":"B","icon":"javascript:x"}', "Plain", "B", ""],
  ['{"notification":{"title":"Firebase","body":"B","navigate":"/f"}}', "Firebase", "B", base + "f"],
  ['{"id":7,"notification":{"title":"No id of ours","body":"B"}}', "No id of ours", "B", ""],
  ['{"title":"CleverTap","notificationOptions":{"body":"B"},"deepLink":"https://x.example/d"}', "CleverTap", "B", "https://x.example/d"],
  ['{"custom":{"i":"1"},"title":"OneSignal","alert":"B"}', "OneSignal", "B", ""],
  // Push API, 3.3, in an engine that leaves it to the worker.
  ['{"web_push":8030,"notification":{"title":"Declarative","body":"B","navigate":"https://x.example/"}}', "Declarative", "B", "https://x.example/"],
];

test("a worker of our own shows something for anything", () => {
  for (const raw of garbage) {
    const got = planPush(message(raw), config, base);
    assert.equal(got?.title, "Acme", String(raw));
    assert.equal(got?.options.body, undefined);
    assert.equal(got?.options.data.message, "");
  }
  assert.equal(planPush(message("x"), { ...config, name: "" }, base)?.title, "site.example");
  assert.equal(plan({ title: "" }).title, "Acme");
});

test("a worker of our own shows other providers' words, without a message id", () => {
  for (const [raw, title, body, url] of foreign) {
    const got = planPush(message(raw), config, base)!;
    assert.equal(got.title, title);
    assert.equal(got.options.body, body, raw);
    assert.equal(got.options.icon, base + "icon.png");
    assert.equal(got.options.data.url, url);
    assert.equal(got.options.data.message, "");
  }
});

test("appended to the site's worker, foreign messages stay the site's", () => {
  for (const raw of [...garbage, ...foreign.map(([raw]) => raw)]) {
    assert.equal(parsePayload(message(raw)).id, "");
    assert.equal(planPush(message(raw), appended, base), undefined, String(raw));
  }
  assert.equal(planPush(message('{"id":"m","notification":{"title":"ours"}}'), appended, base)?.title, "ours");
});

test("the same message twice has the same tag, so that it replaces itself", () => {
  const [first, second] = [plan({ body: "1" }), plan({ body: "2" })];
  assert.equal(first.options.tag, second.options.tag);
  assert.notEqual(first.options.tag, planPush(message('{"id":"m2","notification":{"title":"T"}}'), config, base)?.options.tag);
});

test("clickURL: the button's, else the notification's, else none", () => {
  const data = plan({ navigate: "/n", actions: [{ action: "a", title: "A", navigate: "/a" }, { action: "b", title: "B" }] }).options.data;
  assert.equal(clickURL(data, "", base), base + "n");
  assert.equal(clickURL(data, "a", base), base + "a");
  assert.equal(clickURL(data, "b", base), base + "n");
  assert.equal(clickURL(data, "toString", base), base + "n");
  assert.equal(clickURL(plan({}).options.data, "", base), "");
});

test("action ids are data: __proto__ and doubles do no harm", () => {
  const data = plan({ actions: [{ action: "__proto__", title: "P", navigate: "/p" }, { action: "d", title: "1", navigate: "/1" },
    { action: "d", title: "2", navigate: "/2" }] }).options.data;
  assert.equal(clickURL(data, "__proto__", base), base + "p");
  assert.equal(clickURL(data, "d", base), base + "2");
  assert.equal(Object.getPrototypeOf(data.actions), Object.prototype);
});

test("only our own notifications are ours", () => {
  for (const data of [null, undefined, "x", {}, { url: "/x" }, { webpush: "true" }]) assert.equal(ownData(data), undefined);
  assert.ok(ownData(plan({}).options.data));
});
