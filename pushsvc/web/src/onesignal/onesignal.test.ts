import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Any, page, runPending } from "../testing/onesignal";

const kept = () => JSON.parse(localStorage.getItem("webpush:os") ?? "{}") as Any;
const subscribed = { permission: "granted" as const, left: { "webpush:sub": { endpoint: "https://push.example/0" }, "webpush:os": { id: "id-0" } } };

/** One call by its path below OneSignal, and the calls of the SDK that follow. */
async function called(path: string, ...args: unknown[]): Promise<unknown[]> {
  const { api, sdkCalls } = page();
  const names = path.split(".");
  const name = names.pop()!;
  await names.reduce<Any>((at, one) => at[one], api)[name](...args);
  return sdkCalls;
}

const set = (values: Any) => ({ type: "profile", set: values });

// The calls of the SDK that follow. The title names the row of ONESIGNAL.md.
const calls: [name: string, args: unknown[], want: unknown[]][] = [
  ["Slidedown.promptPush", [], [["prompt", {}]]],
  ["Slidedown.promptPushCategories", [], [["prompt", {}]]],
  ["Slidedown.promptSms", [], []],
  ["Slidedown.promptEmail", [], []],
  ["Slidedown.promptSmsAndEmail", [], []],
  ["Notifications.setDefaultUrl", ["https://shop.example/"], []],
  ["Notifications.setDefaultTitle", ["Shop"], []],
  ["Session.sendOutcome", ["Bought", 3], [["event", "Bought", { weight: 3 }]]],
  ["User.addAlias", ["crm", "7"], [{ type: "adopt", device: "crm:7" }]],
  ["User.addAliases", [{ crm: "7", shop: 8 }], [{ type: "adopt", device: "crm:7" }, { type: "adopt", device: "shop:8" }]],
  ["User.removeAlias", ["crm"], []],
  ["User.removeAliases", [["crm"]], []],
  ["User.addEmail", ["ann@example.com"], [set({ Email: "ann@example.com" })]],
  ["User.removeEmail", ["ann@example.com"], [set({ Email: null })]],
  ["User.addSms", ["+4930123456"], [set({ Phone: "+4930123456" })]],
  ["User.removeSms", ["+4930123456"], [set({ Phone: null })]],
  ["User.addTag", ["plan", 7], [set({ plan: "7" })]],
  ["User.addTags", [{ plan: "gold", vip: true, gone: "" }], [set({ plan: "gold", vip: "true", gone: null })]],
  ["User.removeTag", ["plan"], [set({ plan: null })]],
  ["User.removeTags", [["plan", "vip"]], [set({ plan: null, vip: null })]],
  ["User.setLanguage", ["fr"], [set({ language: "fr" })]],
  ["User.trackEvent", ["Read", { pages: 2 }], [["event", "Read", { pages: 2 }]]],
  ["Debug.setLogLevel", ["trace"], []],
  ["sendTag", ["plan", false], [set({ plan: "false" })]],
  ["sendTags", [{ a: 1, b: { c: 2 } }], [set({ a: "1" })]],
  ["deleteTag", ["plan"], [set({ plan: null })]],
  ["deleteTags", [["plan"]], [set({ plan: null })]],
  ["setEmail", ["ann@example.com"], [set({ Email: "ann@example.com" })]],
  ["logoutEmail", [], [set({ Email: null })]],
  ["setSMSNumber", ["+49"], [set({ Phone: "+49" })]],
  ["logoutSMS", [], [set({ Phone: null })]],
  ["sendOutcome", ["Bought"], [["event", "Bought", undefined]]],
  ["showSlidedownPrompt", [{ force: true }], [["prompt", { force: true }]]],
  ["showHttpPrompt", [], [["prompt", {}]]],
  ["showHttpPermissionRequest", [], [["prompt", {}]]],
  ["showCategorySlidedown", [], [["prompt", {}]]],
  ["showSmsSlidedown", [], []],
  ["showEmailSlidedown", [], []],
  ["showSmsAndEmailSlidedown", [], []],
  ["setDefaultNotificationUrl", ["https://shop.example/"], []],
  ["setDefaultTitle", ["Shop"], []],
  ["setDefaultIcon", ["/icon.png"], []],
  ["syncHashedEmail", ["ann@example.com"], []],
  ["sendSelfNotification", ["A", "B"], []],
];
for (const [name, args, want] of calls) test("API: " + name, async () => assert.deepEqual(await called(name, ...args), want));

// What a visitor's browser reports without a subscription and with one.
const getters: [name: string, before: unknown, after: unknown][] = [
  ["isPushNotificationsEnabled", false, true],
  ["getNotificationPermission", "default", "granted"],
  ["getSubscription", true, true],
  ["isOptedOut", false, false],
  ["getUserId", null, "id-0"],
  ["getRegistrationId", null, "https://push.example/0"],
  ["getIdsAvailable", { userId: null, registrationId: null }, { userId: "id-0", registrationId: "https://push.example/0" }],
  ["getEmailId", null, null],
  ["getSMSId", null, null],
  ["getTags", {}, {}],
  ["getExternalUserId", undefined, undefined],
];
for (const [name, before, after] of getters) {
  test("API: " + name, async () => {
    for (const [given, want] of [[{}, before], [subscribed, after]] as const) {
      const { api } = page(given);
      let back: unknown = "never";
      assert.deepEqual(await api[name]((value: unknown) => (back = value)), want);
      assert.deepEqual(back, want, "the callback");
    }
  });
}

test("API: log.setLevel, log.trace, log.debug, log.info, log.warn, log.error", () => {
  const { api, sdkCalls } = page();
  for (const name of Object.keys(api.log)) api.log[name]("a");
  assert.deepEqual(sdkCalls, []);
});

test("API: initialized", () => assert.equal(page().api.initialized, true));

test("API: init, initialize, register: twice, and without options", async () => {
  const { api, sdkCalls } = page();
  const heard: string[] = [];
  api.on("initialize", () => heard.push("initialize")).on("register", () => heard.push("register"));
  await api.init({ appId: "1" });
  await api.init();
  assert.deepEqual([sdkCalls, heard], [["again"], ["initialize", "register"]]);
  await page().api.init();
});

test("API: init: the page's wishes for the question, under the site's settings", async () => {
  const { api, config } = page({ prompt: { title: "", body: "Ours", askAgain: [1] } });
  const slidedown = { prompts: [{ type: "push", autoPrompt: true, delay: { pageViews: 3, timeDelay: 5 }, text: { actionMessage: "Theirs", acceptButton: "Yes" } }] };
  await api.init({ promptOptions: { slidedown } });
  assert.deepEqual(config.prompt, { body: "Ours", accept: "Yes", after: { pages: 3, seconds: 5 }, askAgain: [1] });
});

test("API: Notifications.requestPermission, showNativePrompt, registerForPushNotifications: in a click by the browser, else by ours", async () => {
  for (const ask of [(api: Any) => api.Notifications.requestPermission(), (api: Any) => api.showNativePrompt(), (api: Any) => api.registerForPushNotifications()]) {
    const inClick = page({ click: true });
    const answer = ask(inClick.api);
    assert.deepEqual(inClick.sdkCalls[0], "subscribe", "nothing may come before the browser's question");
    assert.ok((await answer) !== false);
    const outside = page({ click: false });
    await ask(outside.api);
    assert.deepEqual(outside.sdkCalls, [["prompt", {}]]);
  }
  const { api, sdkCalls } = page();
  await api.registerForPushNotifications({ modalPrompt: true });
  assert.deepEqual(sdkCalls, [["prompt", {}]]);
  assert.equal(await page({ permission: "denied" }).api.Notifications.requestPermission(), true, "granted in the meantime");
});

test("API: Notifications.requestPermission: who unsubscribed stays so", async () => {
  const { api, sdkCalls } = page({ permission: "granted", left: { "webpush:out": "1" } });
  assert.equal(await api.Notifications.requestPermission(), true);
  assert.deepEqual(sdkCalls, []);
});

test("API: Notifications.permission, Notifications.permissionNative, Notifications.isPushSupported, isPushNotificationsSupported", () => {
  const before = page().api;
  const after = page({ permission: "granted" }).api;
  assert.deepEqual([after.Notifications.permission, after.Notifications.permissionNative], [true, "granted"]);
  assert.deepEqual([before.Notifications.isPushSupported(), before.isPushNotificationsSupported()], [true, true]);
  delete (globalThis as Any).PushManager;
  assert.equal(before.Notifications.isPushSupported(), false);
});

test("API: login, User.externalId, User.onesignalId, User.addEventListener, User.removeEventListener", async () => {
  const { api, sdkCalls } = page();
  const heard: Any[] = [];
  const listener = (change: Any) => heard.push(change.current.externalId);
  api.User.addEventListener("change", listener);
  assert.equal(api.User.externalId, undefined);
  await api.login("u-1");
  await api.login("u-1", "x");
  assert.deepEqual(sdkCalls, [["login", { identity: "u-1" }]]);
  assert.ok(/^[\da-f-]{36}$/.test(api.User.onesignalId));
  api.User.removeEventListener("change", listener);
  await api.login("u-2", "a".repeat(64));
  assert.deepEqual([api.User.externalId, heard], ["u-2", ["u-1"]]);
  assert.deepEqual(sdkCalls[1], ["login", { identity: "u-2", signature: "a".repeat(64) }]);
  await api.login();
  assert.equal(sdkCalls.length, 2);
});

test("API: logout, removeExternalUserId, setExternalUserId: once each", async () => {
  for (const out of ["logout", "removeExternalUserId", "setExternalUserId"]) {
    const { api, sdkCalls } = page();
    await api[out]();
    await api.setExternalUserId("u-1");
    await api.User.addTag("plan", "gold");
    await api[out]();
    assert.deepEqual(sdkCalls, [["login", { identity: "u-1" }], set({ plan: "gold" }), "logout"]);
    assert.deepEqual([api.User.externalId, api.User.getTags()], [undefined, {}]);
  }
});

test("API: User.getTags: what was set here, until another person logs in", async () => {
  const { api } = page();
  api.User.addTags({ plan: "gold", vip: "1" });
  api.User.removeTag("vip");
  await api.login("u-1");
  assert.deepEqual(api.User.getTags(), { plan: "gold" });
  await api.login("u-2");
  assert.deepEqual(api.User.getTags(), {});
});

test("API: sendTag, sendTags, deleteTags: what they answer", async () => {
  const { api } = page();
  assert.deepEqual(await api.sendTag("a", false), { a: "false" });
  assert.equal(await api.sendTags({}), null);
  let back: unknown;
  assert.deepEqual(await api.deleteTags(["a"], (keys: unknown) => (back = keys)), ["a"]);
  assert.deepEqual(back, ["a"]);
});

test("API: User.getLanguage", () => {
  const { api } = page();
  assert.equal(api.User.getLanguage(), "de");
  api.User.setLanguage("fr");
  assert.equal(api.User.getLanguage(), "fr");
});

test("API: Session.sendUniqueOutcome, sendUniqueOutcome: once in a visit", async () => {
  const { api, sdkCalls } = page();
  await api.Session.sendUniqueOutcome("Seen");
  await api.sendUniqueOutcome("Seen");
  assert.deepEqual(sdkCalls, [["event", "Seen", undefined]]);
  localStorage.setItem("webpush:visit", "2 https://shop.example/");
  await api.sendUniqueOutcome("Seen");
  assert.equal(sdkCalls.length, 2);
});

test("API: User.PushSubscription.id, User.PushSubscription.token, User.PushSubscription.optedIn, User.PushSubscription.addEventListener, User.PushSubscription.removeEventListener, subscriptionChange", async () => {
  const { api, sdkCalls } = page();
  const push = api.User.PushSubscription;
  const [heard, older]: [Any[], unknown[]] = [[], []];
  const listener = (change: Any) => heard.push(change);
  push.addEventListener("change", listener);
  api.on("subscriptionChange", (is: boolean) => older.push(is));
  assert.deepEqual([push.id, push.token, push.optedIn], [undefined, undefined, false]);
  await push.optIn();
  assert.deepEqual([push.id, push.token, push.optedIn], [kept().id, "https://push.example/1", true]);
  assert.deepEqual(sdkCalls, ["subscribe", { type: "adopt", device: push.id }]);
  assert.deepEqual(heard, [{ previous: { token: undefined, id: undefined, optedIn: false }, current: { id: push.id, token: push.token, optedIn: true } }]);
  push.removeEventListener("change", listener);
  await push.optOut();
  assert.deepEqual([push.optedIn, heard.length, older], [false, 1, [true, false]]);
});

test("API: User.PushSubscription.optIn, User.PushSubscription.optOut, setSubscription, optOut", async () => {
  for (const [out, back] of [
    [(api: Any) => api.User.PushSubscription.optOut(), (api: Any) => api.User.PushSubscription.optIn()],
    [(api: Any) => api.setSubscription(false), (api: Any) => api.setSubscription(true)],
    [(api: Any) => api.optOut(true), (api: Any) => api.optOut(false)],
  ] as const) {
    const { api, sdkCalls } = page(subscribed);
    await out(api);
    assert.equal(await api.isOptedOut(), true);
    await back(api);
    assert.deepEqual([sdkCalls, await api.isPushNotificationsEnabled()], [["unsubscribe", "subscribe"], true]);
  }
  const { api, sdkCalls } = page({ click: false });
  await api.User.PushSubscription.optIn();
  assert.deepEqual(sdkCalls, [["prompt", { force: true }]]);
});

test("API: Slidedown.addEventListener, Slidedown.removeEventListener, popoverShown and the others", () => {
  const { api, say } = page();
  const heard: string[] = [];
  const note = (name: string) => () => heard.push(name);
  const shown = note("shown");
  api.Slidedown.addEventListener("slidedownShown", shown);
  api.Slidedown.addEventListener("slidedownAllowClick", note("allow"));
  api.Slidedown.addEventListener("slidedownCancelClick", note("cancel"));
  api.Slidedown.addEventListener("slidedownClosed", note("closed"));
  for (const name of ["popoverShown", "popoverAllowClick", "popoverCancelClick", "popoverClosed"]) api.on(name, note(name));
  for (const event of ["shown", "accepted", "rejected"]) say(event);
  api.Slidedown.removeEventListener("slidedownShown", shown);
  say("shown");
  assert.deepEqual(heard, [
    ...["shown", "popoverShown", "allow", "popoverAllowClick", "closed", "popoverClosed"],
    ...["cancel", "popoverCancelClick", "closed", "popoverClosed", "popoverShown"],
  ]);
});

test("API: permissionChange, permissionPromptDisplay, notificationPermissionChange", async () => {
  const { api, answers } = page();
  const heard: unknown[] = [];
  api.Notifications.addEventListener("permissionChange", (is: boolean) => heard.push(is));
  api.Notifications.addEventListener("permissionPromptDisplay", () => heard.push("displayed"));
  api.on("notificationPermissionChange", (change: unknown) => heard.push(change));
  answers.permission = "denied";
  assert.equal(await api.Notifications.requestPermission(), false);
  assert.deepEqual(heard, ["displayed", false, { to: "denied" }]);
});

const clicked = { webpush: "click", id: "m1", title: "Sale", body: "Now", url: "https://shop.example/sale", action: "buy", data: { a: 1 } };

test("API: Notifications.addEventListener, Notifications.removeEventListener, notificationClick, addListenerForNotificationOpened", async () => {
  const { api, post, asked } = page();
  await runPending();
  assert.deepEqual(asked, [], "without a listener");
  const [clicks, older, once] = [[], [], []] as [Any[], Any[], Any[]];
  const listener = (event: Any) => clicks.push(event);
  api.Notifications.addEventListener("click", listener);
  api.on("notificationClick", (event: Any) => older.push(event));
  await api.addListenerForNotificationOpened((event: Any) => once.push(event));
  await runPending();
  assert.deepEqual(asked, [{ webpush: "clicks" }]);
  post(clicked);
  api.Notifications.removeEventListener("click", listener);
  post(clicked);
  post({ another: "message" });
  post(null);
  assert.deepEqual([clicks.length, older.length, once.length], [1, 2, 1]);
  assert.deepEqual(clicks[0]?.result, { actionId: "buy", url: "https://shop.example/sale" });
  assert.equal(clicks[0]?.notification.notificationId, "m1");
  assert.deepEqual([older[0]?.id, older[0]?.heading, older[0]?.content, older[0]?.data], ["m1", "Sale", "Now", { a: 1 }]);
});

test("API: foregroundWillDisplay, dismiss, notificationDisplay, notificationDismiss", async () => {
  const { api, post } = page();
  const heard: string[] = [];
  api.Notifications.addEventListener("foregroundWillDisplay", (event: Any) => {
    event.preventDefault();
    event.notification.display();
    heard.push("will display " + event.notification.title);
  });
  api.Notifications.addEventListener("dismiss", (event: Any) => heard.push("dismissed " + event.notification.title));
  api.on("notificationDisplay", (event: Any) => heard.push("displayed " + event.heading));
  api.on("notificationDismiss", (event: Any) => heard.push("gone " + event.heading));
  post({ ...clicked, webpush: "display" });
  post({ ...clicked, webpush: "dismiss" });
  assert.deepEqual(heard, ["will display Sale", "displayed Sale", "dismissed Sale", "gone Sale"]);
});

test("API: setConsentRequired, setConsentGiven, provideUserConsent: nothing is recorded or asked before", async () => {
  const { api, sdkCalls, config } = page();
  const held = () => (api as unknown as { sdk: { queue: { held: boolean } } }).sdk.queue.held;
  await api.setConsentRequired(true);
  await api.init({ autoRegister: true });
  await api.login("u-1");
  api.User.addTag("a", "1");
  await api.Slidedown.promptPush();
  assert.deepEqual([held(), config.prompt.after], [true, { manual: true }]);
  assert.deepEqual(sdkCalls.filter((one) => one !== "again"), []);
  await api.setConsentGiven(true);
  assert.deepEqual([held(), config.prompt.after], [false, {}]);
  await api.provideUserConsent(false);
  assert.equal(held(), true);
  assert.equal(page({ left: { "webpush:os": { required: true } } }).config.prompt.after.manual, true, "on the next page, too");
});

test("API: requiresUserPrivacyConsent of init", async () => {
  const { api, config } = page();
  await api.init({ requiresUserPrivacyConsent: true });
  assert.deepEqual(config.prompt.after, { manual: true });
});

test("API: on, off, once, push", async () => {
  const { api, say } = page();
  const heard: string[] = [];
  const on = () => heard.push("on");
  api.on("popoverShown", on);
  api.once("popoverShown", () => heard.push("once"));
  api.push(["off", "no such event"]);
  say("shown");
  say("shown");
  api.off("popoverShown", on);
  say("shown");
  assert.deepEqual(heard, ["on", "once", "on"]);
  api.push(["noSuchFunction", 1], 7, null);
  assert.equal(api.push(() => "returned"), "returned");
});

/** Members of the class that are not part of the API. */
const inner = /^(constructor|user|run|applyConsent|block|setPrompt|ask|opt|watch|giveSubscriptionId|emitChanges|startListening|emitter|users|subscriptions|person|options|site|sdk|listening|(permission|subscription)Before)$/;

test("ONESIGNAL.md has a row for every member", () => {
  const rows = new Set([...readFileSync("../ONESIGNAL.md", "utf8").matchAll(/^\| (.*?) \|/gm)].flatMap(([, names]) => [...names!.matchAll(/`(.+?)`/g)].map(([, name]) => name!)));
  const { api } = page();
  const members = (at: Any, path: string): string[] =>
    Object.keys(at).flatMap((name) => {
      const value: unknown = at[name];
      return typeof value === "object" && value && Object.keys(value).length ? members(value as Any, path + name + ".") : [path + name];
    });
  const outer = [...Object.getOwnPropertyNames(Object.getPrototypeOf(api)), ...Object.keys(api)].filter((name) => !inner.test(name));
  const all = outer.flatMap((name) => (api[name] && typeof api[name] === "object" ? members(api[name], name + ".") : [name]));
  assert.ok(all.length > 90, String(all.length));
  assert.deepEqual(all.filter((name) => !rows.has(name)), []);
});
