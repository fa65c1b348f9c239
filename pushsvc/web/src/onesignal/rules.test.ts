import assert from "node:assert/strict";
import { test } from "node:test";
import { forced, promptPlan, promptTexts } from "./prompts";
import { adoptKnown, knownVisitor, silenced } from "./storage";
import { changedTags, cleanTags } from "./tags";
import { eventsOf, notificationOf } from "./notification";
import { memory } from "../sdk/storage";
import type { LocalValues } from "../sdk/storage_keys";
import { define, storageArea } from "../testing/page";

const slidedown = (...prompts: object[]) => ({ promptOptions: { slidedown: { prompts } } });

const plans: [name: string, options: unknown, want: object][] = [
  ["nothing said", { appId: "1" }, {}],
  ["no options", undefined, {}],
  ["autoPrompt", slidedown({ type: "push", autoPrompt: true, delay: { pageViews: 3, timeDelay: 20 } }), { after: { pages: 3, seconds: 20 } }],
  ["autoPrompt without a delay", slidedown({ type: "push", autoPrompt: true }), { after: { pages: 1, seconds: 10 } }],
  ["autoPrompt of a zero delay", slidedown({ type: "category", autoPrompt: true, delay: { pageViews: 0, timeDelay: 0 } }), { after: { pages: 0, seconds: 0 } }],
  ["autoPrompt: false", slidedown({ type: "push", autoPrompt: false }), { after: { manual: true } }],
  ["for e-mail only", slidedown({ type: "email", autoPrompt: true }), {}],
  ["native", { promptOptions: { native: { enabled: true, autoPrompt: true, pageViews: 2, timeDelay: 1 } } }, { after: { pages: 2, seconds: 1 } }],
  ["native, switched off", { promptOptions: { native: { enabled: false, autoPrompt: true } } }, { after: { manual: true } }],
  ["v15's slidedown", { promptOptions: { slidedown: { enabled: true, autoPrompt: true, timeDelay: 5, pageViews: 1 } } }, { after: { pages: 1, seconds: 5 } }],
  ["autoRegister", { autoRegister: true }, { after: {} }],
  ["autoRegister: false", { autoRegister: false }, { after: { manual: true } }],
  ["notifyButton", { notifyButton: { enable: true }, autoRegister: false }, { kind: "bell", after: {} }],
  ["rubbish", { promptOptions: 7, notifyButton: null }, {}],
];
for (const [name, options, want] of plans) test("promptPlan: " + name, () => assert.deepEqual(promptPlan(options), want));

const texts: [name: string, options: unknown, want: string[]][] = [
  ["v16", slidedown({ type: "push", text: { actionMessage: "A", acceptButton: "B", cancelButton: "C" } }), ["A", "B", "C"]],
  ["v15", { promptOptions: { slidedown: { actionMessage: "A", acceptButtonText: "B", cancelButtonText: "C" } } }, ["A", "B", "C"]],
  ["WordPress", { promptOptions: { actionMessage: "A", acceptButtonText: "B", cancelButtonText: "C" } }, ["A", "B", "C"]],
  ["none", {}, []],
  ["numbers", { promptOptions: { actionMessage: 7 } }, []],
];
for (const [name, options, want] of texts) test("promptTexts: " + name, () => assert.deepEqual(Object.values(promptTexts(options)), want));

test("forced", () => {
  const given = [{ force: true }, { slidedownPromptOptions: { force: true } }, {}, undefined, null, 7];
  assert.deepEqual(given.map(forced), [true, true, false, false, false, false]);
});

test("cleanTags: texts; what is empty goes; what is nested is named", () => {
  const { tags, refused } = cleanTags({ a: "x", b: 1, c: false, d: "", e: null, f: undefined, g: { h: 1 }, i: [1] });
  assert.deepEqual(tags, { a: "x", b: "1", c: "false", d: null, e: null, f: null });
  assert.deepEqual(refused, ["g", "i"]);
  for (const rubbish of [undefined, null, "a", 7, ["a"]]) assert.deepEqual(cleanTags(rubbish).tags, {});
});

test("changedTags", () => assert.deepEqual(changedTags({ a: "1", b: "2" }, { b: null, c: "3" }), { a: "1", c: "3" }));

test("knownVisitor: v16's tables", () => {
  const rows = {
    Ids: [{ type: "userId", id: "old" }],
    Options: [{ key: "optedOut", value: true }],
    identity: [{ onesignal_id: "o", external_id: "u-1" }],
    properties: [{ tags: { plan: "gold", odd: 7 } }],
    subscriptions: [{ type: "Email", id: "e" }, { type: "ChromePush", id: "s" }],
  };
  assert.deepEqual(knownVisitor(rows), { id: "s", onesignalId: "o", externalId: "u-1", tags: { plan: "gold" }, out: true });
});

test("knownVisitor: v15's tables", () => {
  const Ids = [{ type: "userId", id: "p" }, { type: "externalUserId", id: "u-1" }];
  assert.deepEqual(knownVisitor({ Ids, Options: [{ key: "subscription", value: false }] }), { id: "p", externalId: "u-1", out: true });
  assert.deepEqual(knownVisitor({ Ids: [{ type: "userId", id: 7 }], Options: [{ key: "subscription", value: true }] }), { out: false });
  assert.deepEqual(knownVisitor({}), { out: false });
});

test("silenced: the refusal that OneSignal noted, until its time has come", () => {
  const item = JSON.stringify({ value: '"dismissed"', timestamp: 1000 });
  assert.deepEqual([silenced(item, 999), silenced(item, 1001), silenced(null, 1), silenced("{", 1)], [true, false, false, false]);
});

test("adoptKnown: who the visitor was, an opt-out, a refusal; our own come first", () => {
  define({ window: globalThis, localStorage: storageArea() });
  const local = memory<LocalValues>("localStorage");
  adoptKnown(local, { id: "s", externalId: "a@example.com", tags: { a: "1" }, out: true }, true, 5);
  assert.deepEqual([local.get("out"), local.get("asked")], ["1", "5"]);
  assert.deepEqual(JSON.parse(local.get("ct")), { id: "s", identities: [{ kind: "identity", value: "a@example.com" }] });
  assert.deepEqual(JSON.parse(local.get("os")), { id: "s", externalId: "a@example.com", tags: { a: "1" } });
  local.set("asked", "9");
  adoptKnown(local, { id: "other", out: false }, true, 5);
  assert.deepEqual([local.get("asked"), JSON.parse(local.get("os")).id, local.get("out")], ["9", "s", "1"]);
});

test("notificationOf: v16's and v15's names", () => {
  const notification = notificationOf({ webpush: "click", id: "m", title: "T", tag: "t", data: [1], actions: [{ action: "a", title: "A", navigate: "https://x.example/" }], badge: "b" });
  assert.deepEqual([notification.notificationId, notification.id, notification.heading, notification.body, notification.content, notification.topic, notification.badgeIcon], ["m", "m", "T", "", "", "t", "b"]);
  assert.deepEqual(notification.actionButtons, [{ actionId: "a", text: "A", icon: undefined, launchURL: "https://x.example/" }]);
  assert.deepEqual([notification.additionalData, notificationOf({ webpush: "click", id: "m", data: "text" }).additionalData], [[1], undefined]);
});

test("eventsOf: foreign messages are ignored", () => assert.deepEqual(eventsOf({ webpush: "other" as never, id: "m" }), []));
