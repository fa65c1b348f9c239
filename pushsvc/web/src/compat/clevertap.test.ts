import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { SDK } from "../sdk/sdk";
import type { Call } from "../sdk/stub";
import { type Any, sdkCalls, openPage, sdkAnswers, runPending } from "../testing/clevertap";
import { consoleOf, define } from "../testing/page";
import { CleverTap } from "./clevertap";

/** An SDK that only knows visits. */
const bare = { continueVisit: () => {} } as unknown as SDK;

const full = { titleText: "T", bodyText: "B", okButtonText: "Y", rejectButtonText: "N" };

/** Each name of the API table (event, profile, privacy and others are objects): the call,
 * its result, the calls of the SDK that follow. */
const table: [string, (c: Any) => unknown, unknown, string[]?][] = [
  ["account.push", (c) => (c.account.push({ id: "OTHER" }), c.getAccountID()), "TEST-ID"],
  ["event.push", (c) => c.event.push("Added", { x: 1 }, "Bought"), 0, ["event Added", "event Bought"]],
  ["event.push: reserved", (c) => c.event.push("App Launched"), 0],
  ["event.push: Charged", (c) => c.event.push("Charged", { Amount: 1, "Charged ID": 7, Items: [{ a: 1 }] }), 0, ["event Charged"]],
  ["event.push: Charged, nested", (c) => c.event.push("Charged", { Amount: { a: 1 } }), 0],
  ["event.getDetails: gated", (c) => c.event.getDetails("Added"), undefined],
  ["event.getEventDetails", (c) => c.event.getEventDetails("Added"), undefined],
  ["profile.push", (c) => c.profile.push({ Site: { Name: "A" } }), 0],
  ["profile.getAttribute", (c) => c.profile.getAttribute("Name"), undefined],
  ...[
    "setMultiValuesForKey",
    "addMultiValueForKey",
    "addMultiValuesForKey",
    "removeMultiValueForKey",
    "removeMultiValuesForKey",
    "removeValueForKey",
    "handleIncrementValue",
    "handleDecrementValue",
  ].flatMap((name): [string, (c: Any) => unknown, unknown][] => [
    [name, (c) => c[name]("key", 1), undefined],
    ["profile." + name, (c) => c.profile[name]("key", 1), undefined],
  ]),
  ["onUserLogin.push", (c) => c.onUserLogin.push({ Site: { Identity: 1 } }), 0],
  ["onUserLogin.clear", (c) => c.onUserLogin.clear(), undefined, ["logout"]],
  ["privacy.push: optOut", (c) => c.privacy.push({ optOut: true }), 0, ["privacy true", "unsubscribe"]],
  ["privacy.push: useIP", (c) => c.privacy.push({ useIP: true }), 0],
  ["privacy.push: both at once", (c) => c.privacy.push({ optOut: true }, { useIP: true }), 0, ["privacy true", "unsubscribe"]],
  ["notifications.push: object form", (c) => c.notifications.push({ ...full }), 0, ["prompt T,B,Y,N,#f28046,604800"]],
  ["notifications.push: positional form", (c) => c.notifications.push("T", "B", "Y", "N"), 0, ["prompt T,B,Y,N,#f28046,604800"]],
  ["notifications.enable", (c) => c.notifications.enable({ ...full }), 0, ["prompt T,B,Y,N,#f28046,604800"]],
  ["user.getTotalVisits", (c) => c.user.getTotalVisits(), undefined],
  ["user.getLastVisit", (c) => c.user.getLastVisit(), undefined],
  ["session.getTimeElapsed", (c) => ((c.enablePersonalization = true), c.session.getTimeElapsed()), 0],
  ["session.getPageCount", (c) => ((c.enablePersonalization = true), c.session.getPageCount()), 1],
  ["pageChanged", (c) => ((c.enablePersonalization = true), c.pageChanged(), c.session.getPageCount()), 2, ["page"]],
  ["enablePersonalization", (c) => c.session.getPageCount(), undefined],
  ["spa", (c) => c.spa, false],
  ["dismissSpamControl", (c) => c.dismissSpamControl, true],
  ["enableFetchApi", (c) => c.enableFetchApi, false],
  ["enableEncryptionInTransit", (c) => c.enableEncryptionInTransit, false],
  ["domainSpecification", (c) => c.domainSpecification, undefined],
  ["notificationCallback", (c) => ((c.notificationCallback = runPending), c.notificationCallback === runPending), true],
  ["popupCallback", (c) => ((c.popupCallback = runPending), c.popupCallback === runPending), true],
  ["init", (c) => (c.init("TEST-ID", "eu1", "example.com", "token", { antiFlicker: {} }), c.getAccountID()), "TEST-ID"],
  ["init: again", (c) => (c.init("OTHER"), c.getAccountID()), "TEST-ID"],
  ["getAccountID", (c) => c.getAccountID(), "TEST-ID"],
  ["getCleverTapID", (c) => c.getCleverTapID(), null],
  ["getCleverTapID: the site's own", (c) => (c.onUserLogin.push({ Site: { Identity: 1, CustomCTID: "A" } }), c.getCleverTapID()), "_w_a"],
  ["getCleverTapID: of who has logged out", (c) => (c.onUserLogin.push({ Site: { Identity: 1, CustomCTID: "A" } }), c.logout(), c.getCleverTapID()), null, ["logout"]],
  ["getSDKVersion", (c) => c.getSDKVersion().startsWith("web-sdk-v"), true],
  ["logout", (c) => c.logout(), undefined, ["logout"]],
  ["clear", (c) => c.clear(), undefined, ["logout"]],
  ["setLogLevel", (c) => (c.setLogLevel(3), sessionStorage.getItem("WZRK_D")), ""],
  ["getLocation", (c) => c.getLocation(1, 2), undefined],
  ["isLocalStorageEncryptionEnabled", (c) => c.isLocalStorageEncryptionEnabled(), false],
  ["getInboxMessageCount", (c) => c.getInboxMessageCount(), 0],
  ["getInboxMessageUnreadCount", (c) => c.getInboxMessageUnreadCount(), 0],
  ["getAllInboxMessages", (c) => c.getAllInboxMessages(), {}],
  ["getUnreadInboxMessages", (c) => c.getUnreadInboxMessages(), {}],
  ["getAllQualifiedCampaignDetails", (c) => c.getAllQualifiedCampaignDetails(), []],
  ["defineVariable", (c) => c.defineVariable("a", 1).value, 1],
  ["defineFileVariable", (c) => c.defineFileVariable("a").name, "a"],
  ["getVariables", (c) => c.getVariables(), {}],
  ["getVariants", (c) => c.getVariants(), []],
  ["setOffline", (c) => c.setOffline(true), undefined],
  ["setOffline: and back", (c) => (c.setOffline(true), c.setOffline(false)), undefined, ["send"]],
  ["delayEvents", (c) => (c.delayEvents(true), c.delayEvents(false)), undefined, ["send"]],
  ["raiseNotificationViewed", (c) => c.raiseNotificationViewed(), undefined, ["viewed the last one"]],
  ["raiseNotificationClicked", (c) => c.raiseNotificationClicked(), undefined, ["clicked the last one"]],
  ["raisePopupNotificationClicked", (c) => c.raisePopupNotificationClicked({ msgId: "a_1" }), undefined, ["clicked a_1"]],
  ["renderNotificationViewed", (c) => c.renderNotificationViewed({ msgId: "a_1" }), undefined, ["viewed a_1"]],
  ["renderNotificationClicked", (c) => c.renderNotificationClicked({ msgId: "a_1" }), undefined, ["clicked a_1"]],
  ...[
    "getSCDomain",
    "setLibrary",
    "setSCSDKVersion",
    "enableLocalStorageEncryption",
    "getInboxMessageForId",
    "deleteInboxMessage",
    "markReadInboxMessage",
    "markReadInboxMessagesForIds",
    "markReadAllInboxMessage",
    "toggleInbox",
    "syncVariables",
    "fetchVariables",
    "getVariableValue",
    "addVariablesChangedCallback",
    "addOneTimeVariablesChangedCallback",
  ].map((name): [string, (c: Any) => unknown, unknown] => [name, (c) => c[name](), undefined]),
  ["$WZRK_WR.closeIframe", () => void (globalThis as Any).$WZRK_WR.closeIframe(1, "wizParDiv0"), undefined, ["remove wizParDiv0"]],
  ["$WZRK_WR.setEnum", () => (globalThis as Any).$WZRK_WR.setEnum("a"), "$E_a"],
  ["$CLTP_WR.is_onloadcalled", () => (globalThis as Any).$CLTP_WR.is_onloadcalled(), true],
  ["$WZRK_WR.logout", () => (globalThis as Any).$WZRK_WR.logout(), undefined, ["logout"]],
  ["$WZRK_WR.clear", () => (globalThis as Any).$WZRK_WR.clear(), undefined, ["logout"]],
  ["$WZRK_WR.setSubscriptionGroups, getSubscriptionGroups", () => ((globalThis as Any).$WZRK_WR.setSubscriptionGroups(["a"]), (globalThis as Any).$WZRK_WR.getSubscriptionGroups()), ["a"]],
  ["$WZRK_WR.setIsGlobalUnsubscribe, isGlobalUnsubscribe", () => ((globalThis as Any).$WZRK_WR.setIsGlobalUnsubscribe(false), (globalThis as Any).$WZRK_WR.isGlobalUnsubscribe()), false],
  ...["s", "tr", "enableWebPush", "subEmail", "getEmail", "unSubEmail", "unsubEmailGroups", "changeSubscriptionGroups", "setUpdatedCategoryLong", "isMuted", "getMuteExpiry"].map((name): [string, (c: Any) => unknown, unknown] => [
    "$WZRK_WR." + name,
    () => typeof (globalThis as Any).$WZRK_WR[name](),
    { isMuted: "boolean", getMuteExpiry: "number" }[name] ?? "undefined",
  ]),
];

for (const [name, call, want, calls = []] of table) {
  test("API: " + name, async () => {
    const api = openPage();
    let got: unknown;
    consoleOf(() => (got = call(api)));
    await runPending();
    assert.deepEqual(got, want);
    assert.deepEqual(sdkCalls, calls);
  });
}

test("enablePersonalization: WZRK_EV, WZRK_PR and WZRK_META as CleverTap left them", () => {
  const api = openPage() as Any;
  api.enablePersonalization = true;
  localStorage.setItem("WZRK_EV", '{"Added":[3,1700000000,1700000100]}');
  localStorage.setItem("WZRK_PR", '{"Name":"A"}');
  localStorage.setItem("WZRK_META", '{"sc":4,"ps":1700000000}');
  assert.deepEqual(api.event.getDetails("Added"), { firstTime: new Date(1.7e12), lastTime: new Date(1.7e12 + 1e5), count: 3 });
  assert.equal(api.profile.getAttribute("Name"), "A");
  assert.equal(api.user.getTotalVisits(), 5, "this one too");
  assert.deepEqual(api.user.getLastVisit(), new Date(1.7e12));
});

/** The console's lines, in CleverTap's form. */
const said: [string, (c: Any) => unknown, RegExp[]][] = [
  ["init without an account", () => new CleverTap(bare).init(), [/^! CleverTap error: Incorrect embed script\.$/]],
  ["push before init", () => new CleverTap(bare).notifications.push(full), [/^! CleverTap error: Account ID is not set$/]],
  ["reserved name", (c) => c.event.push("Stayed"), [/^! CleverTap error: 513: .*Stayed/]],
  ["name too long", (c) => c.event.push("x".repeat(1025)), [/^! CleverTap error: 510: /]],
  ["no name", (c) => c.event.push({ x: 1 }), [/^! CleverTap error: 510: /]],
  ["key too long", (c) => c.event.push("A", { ["k".repeat(1025)]: 1 }), [/^! CleverTap error: 520: /]],
  ["value too long", (c) => c.event.push("A", { k: "v".repeat(1025) }), [/^! CleverTap error: 521: /]],
  ["Charged with nested values", (c) => c.event.push("Charged", { Items: [{ a: {} }] }), [/^! CleverTap error: 511: /]],
  ["Charged with many items", (c) => c.event.push("Charged", { Items: Array(51).fill({}) }), [/^! CleverTap error: 522: /]],
  ["Charged ID twice", (c) => [1, 2].map(() => c.event.push("Charged", { "Charged ID": 1 })), [/^! CleverTap error: .*Duplicate/]],
  ["Charged ID that WZRK_CHARGED_ID has", (c) => (localStorage.setItem("WZRK_CHARGED_ID", "%2277%22"), c.event.push("Charged", { "Charged ID": 77 })), [/Duplicate/]],
  ["options without effect: one line", (c) => c.notifications.push({ ...full, hidePoweredByCT: true, apnsWebPushId: "x" }), [/^CleverTap \[\d+\]: hidePoweredByCT, apnsWebPushId: accepted/]],
  ["a text is missing", (c) => c.notifications.push("T", "B", "Y"), [/^! CleverTap error: Missing input parameters;/]],
  ["location out of range", (c) => c.getLocation(91, 0), [/^! CleverTap error: /]],
  ["increment by nothing", (c) => c.profile.handleIncrementValue("a", 0), [/^! CleverTap error: /]],
  ["increment", (c) => (c.setLogLevel(3), c.profile.handleIncrementValue("a", 2)), [/profile\.handleIncrementValue \(a\): recorded/]],
  ["profile: a wrong value", (c) => c.profile.push({ Site: { Gender: "X", Name: "A" } }), [/^! CleverTap error: Gender value /]],
  ["profile: no profile", (c) => c.profile.push({ Name: "A" }), [/^! CleverTap error: Profile object is in incorrect format$/]],
  ["profile: what is kept", (c) => (c.setLogLevel(3), c.profile.push({ Site: { Name: "A", Age: "x" } })), [/^! .*Age/, /: profile \(Name, tz\): recorded$/]],
  ["onUserLogin: a restricted name, nested", (c) => c.onUserLogin.push({ Site: { Identity: 1, Email: { a: 1 } } }), [/^! CleverTap error: 513: 'Email'/]],
  ["nested beyond the limits", (c) => c.event.push("A", { a: { b: { c: { d: {} } } } }), [/^! CleverTap error: 541: .*Limit: 3$/, /545: Empty value for key 'a.b.c'/, /'a.b'/, /'a'/]],
  ["multi value without key", (c) => c.profile.addMultiValueForKey(), [/^! CleverTap error: /]],
  ["level 0: nothing", (c) => (c.setLogLevel(0), c.event.push("Stayed")), []],
  ["level 1: errors only", (c) => (c.setLogLevel(1), c.event.push("Stayed"), c.notifications.push({ ...full, hidePoweredByCT: true })), [/513/]],
  ["level 2, the default: errors and information", (c) => (c.event.push("Stayed"), c.notifications.push({ ...full, hidePoweredByCT: true }), c.setOffline(true)), [/513/, /hidePoweredByCT/]],
  ["level 4: everything", (c) => (c.setLogLevel(4), c.setLibrary("x", 1)), [/setLibrary/]],
  ["level 3: everything", (c) => (c.setLogLevel(3), c.event.push("A", { k: 1 })), [/^CleverTap \[\d+\]: event A \(k\): recorded$/]],
  ["WZRK_D: everything", (c) => (sessionStorage.setItem("WZRK_D", ""), c.setLibrary("x", 1)), [/^CleverTap \[\d+\]: setLibrary: accepted/]],
  ["no such level", (c) => c.setLogLevel(9), [/^! CleverTap error: .*log level/]],
];

for (const [name, call, want] of said) {
  test("console: " + name, async () => {
    const api = openPage();
    const lines = consoleOf(() => void call(api));
    await runPending();
    assert.equal(lines.length, want.length, lines.join("\n"));
    want.forEach((pattern, i) => assert.ok(pattern.test(lines[i]!), lines[i]));
  });
}

test("notifications.push: object form, callbacks in order", async () => {
  const api = openPage();
  const called: string[] = [];
  const on = (name: string) => () => called.push(name);
  sdkAnswers.answers = ["shown", "accepted"];
  const options = { ...full, okCallback: on("ok"), rejectCallback: on("reject"), subscriptionCallback: on("subscribed") };
  api.notifications.push({ ...options, okButtonColor: "#112233", okButtonAriaLabel: "yes", rejectButtonAriaLabel: "no" });
  await runPending();
  assert.deepEqual(sdkCalls, ["prompt T,B,Y,N,#112233,yes,no,604800"]);
  assert.deepEqual(called, ["ok", "subscribed"]);
  assert.ok(Number(localStorage.getItem("webpush:asked")) > 0, "counted from when it was shown");
});

test("notifications.push: refused", async () => {
  const api = openPage();
  const called: string[] = [];
  sdkAnswers.answers = ["shown", "rejected"];
  sdkAnswers.outcome = "rejected";
  api.notifications.push({ ...full, okCallback: () => called.push("ok"), rejectCallback: () => called.push("reject"), subscriptionCallback: () => called.push("subscribed") });
  await runPending();
  assert.deepEqual(called, ["reject"]);
  api.notifications.push({ ...full });
  await runPending();
  assert.equal(sdkCalls.length, 1, "asked again within a week");
});

test("notifications.push: rejectCallback is not for a refusal of the browser's question", async () => {
  const api = openPage();
  const called: string[] = [];
  sdkAnswers.answers = ["shown", "accepted", "dismissed"];
  sdkAnswers.outcome = "dismissed";
  api.notifications.push({ ...full, okCallback: () => called.push("ok"), rejectCallback: () => called.push("reject") });
  await runPending();
  assert.deepEqual(called, ["ok"]);
});

test("notifications.push: positional form, skipDialog", async () => {
  const api = openPage();
  let subscribed = false;
  api.notifications.push("T", "B", "Y", "N", "#112233", true, 60);
  await runPending();
  api.notifications.push({ skipDialog: true, subscriptionCallback: () => (subscribed = true) });
  await runPending();
  assert.deepEqual(sdkCalls, ["subscribe", "subscribe"]);
  assert.ok(subscribed);
});

test("privacy.push: optOut ends by optOut: false, and by nothing else", async () => {
  const api = openPage();
  api.privacy.push({ optOut: true });
  api.notifications.push({ ...full });
  await runPending();
  assert.deepEqual(sdkCalls, ["privacy true", "unsubscribe"]);
  api.privacy.push({ optOut: true });
  assert.deepEqual(sdkCalls.slice(2), ["unsubscribe"], "recorded once");
  api.privacy.push({ optOut: false });
  assert.equal(sdkCalls[3], "privacy false");
  assert.equal(localStorage.getItem("webpush:out"), null);
  localStorage.setItem("webpush:out", "1");
  api.privacy.push({ optOut: false });
  assert.equal(localStorage.getItem("webpush:out"), "1", "the visitor's own wish");
});

test("stub: everything is replayed, in CleverTap's order", async () => {
  const api = openPage();
  const stub: Any = {
    notifications: [{ ...full }],
    event: ["A", { x: 1 }, "B"],
    privacy: [{ optOut: false }],
    profile: [],
    onUserLogin: [],
    account: [],
    spa: true,
  };
  api.adopt(stub);
  await runPending();
  assert.deepEqual(sdkCalls, ["event A", "event B", "prompt T,B,Y,N,#f28046,604800"]);
  assert.equal(api.spa, true);
  stub.event.push("C");
  assert.equal(sdkCalls[sdkCalls.length - 1], "event C", "a kept stub works as the API");
});

test("stub: queues are replayed in CleverTap's order: privacy, onUserLogin, event, profile, notifications", async () => {
  const api = openPage();
  api.setLogLevel(3);
  const lines = consoleOf(() =>
    api.adopt({
      notifications: [{ ...full }],
      profile: [{ Site: { Name: "A" } }],
      event: ["E"],
      onUserLogin: [{ Site: { Identity: 1 } }],
      privacy: [{ useIP: true }],
    }),
  );
  await runPending();
  const order = ["privacy", "onUserLogin", "event E", "profile", "notifications.push"];
  assert.deepEqual(lines.map((line) => order.find((name) => line.includes(": " + name))), order);
});

const before: [string, Record<string, unknown>, string[]][] = [
  ["nothing", {}, ["prompt T,B,Y,N,#f28046,604800"]],
  ["WZRK_META of who was asked just now", { WZRK_META: { notif_last_time: Math.floor(Date.now() / 1000) } }, []],
  ["WZRK_G of who had opted out", { WZRK_G: "a:OO" }, []],
  ["WZRK_META that was read already", { WZRK_META: { notif_last_time: Math.floor(Date.now() / 1000) }, "webpush:adopted": 1 }, ["prompt T,B,Y,N,#f28046,604800"]],
];

for (const [name, left, want] of before) {
  test("install: a stub on the first page, with " + name, async () => {
    openPage(left, [{ account: [{ id: "X" }], notifications: [{ ...full }] }]);
    await runPending();
    assert.deepEqual(sdkCalls, want);
    assert.equal(localStorage.getItem("webpush:adopted"), "1");
  });
}

test("stub: two notifications.push are two calls", async () => {
  const api = openPage();
  api.adopt({ notifications: [{ skipDialog: true }, { skipDialog: true }] });
  await runPending();
  assert.deepEqual(sdkCalls, ["subscribe", "subscribe"]);
});

test("stub: account.push with id, region, domain and token", () => {
  openPage();
  const api = new CleverTap(bare);
  api.adopt({ account: [{ id: "X" }, "eu1", "example.com", "token"], enablePersonalization: true, dismissSpamControl: false });
  assert.deepEqual([api.getAccountID(), api.enablePersonalization, api.dismissSpamControl], ["X", true, false]);
});

test("setLogLevel: level 3 sets WZRK_D, every other one deletes it", () => {
  const api = openPage();
  for (const level of [0, 1, 2, 4]) {
    api.setLogLevel(3);
    assert.equal(sessionStorage.getItem("WZRK_D"), "");
    api.setLogLevel(level);
    assert.equal(sessionStorage.getItem("WZRK_D"), null, String(level));
  }
});

test("stub: waits for an account, which may be on the stub", async () => {
  openPage();
  const sdk = { ...bare, event: (name: string) => sdkCalls.push("event " + name) } as unknown as SDK;
  const api = new CleverTap(sdk);
  api.adopt({ event: ["early"] });
  assert.deepEqual(sdkCalls, []);
  api.adopt({ event: ["late"], account: [{ id: "X" }] });
  assert.deepEqual(sdkCalls, ["event early", "event late"]);
});

test("stub of our own: calls in their order, and from then on at once", () => {
  const calls: Call[] = [[["init"], ["X"]], [["event", "push"], ["A", { x: 1 }]], [["logout"], []], [["toJSON"], []], [["no", "such"], []], [["event", "push"], ["B"]]];
  const api = openPage({}, [{}], calls);
  assert.deepEqual(sdkCalls, ["event A", "logout", "event B"]);
  assert.equal(api.getAccountID(), "X");
  calls.push([["event", "push"], ["C"]]);
  assert.equal(sdkCalls[3], "event C");
});

test("stub: what is set on a reference is set on the API", () => {
  const api = openPage();
  const stub: Any = { event: [] };
  api.adopt(stub);
  stub.enablePersonalization = true;
  assert.equal(stub.session.getPageCount(), 1);
  const { getAccountID, pageChanged } = stub;
  pageChanged();
  assert.deepEqual([getAccountID(), api.session.getPageCount()], ["TEST-ID", 2]);
});

test("account: without an id for those who read it", () => {
  assert.equal((openPage() as Any).account?.[0].id, undefined);
});

for (const [name, call, want] of [
  ["init", (c: Any) => c.init("X", "eu1", "", "", { customId: "Kiosk:7" }), "_w_kiosk:7"],
  ["config of the stub", (c: Any) => c.adopt({ account: [{ id: "X" }], config: { customId: "Kiosk" } }), "_w_kiosk"],
  ["not one with other characters", (c: Any) => c.init("X", "", "", "", { customId: "no/ne" }), null],
  ["not a number", (c: Any) => c.init("X", "", "", "", { customId: 7 }), null],
  ["the first one stays", (c: Any) => (c.onUserLogin.push({ Site: { Identity: 1, CustomCTID: "A" } }), c.init("X", "", "", "", { customId: "B" })), "_w_a"],
] as [string, (c: Any) => unknown, unknown][]) {
  test("customId: " + name, () => {
    openPage();
    const api = new CleverTap({ ...bare, record: () => true } as unknown as SDK) as Any;
    consoleOf(() => void call(api));
    assert.equal(api.getCleverTapID(), want);
  });
}

test("init: a page in CleverTap's preview stays silent", () => {
  openPage();
  define({ location: new URL("https://shop.example/?e=x&wzrk_ex=0") });
  const api = new CleverTap(bare);
  api.init("X");
  assert.equal(api.getAccountID(), null);
});

/** Members of the class that are not part of CleverTap's API. */
const own = ["log", "accountId", "prompting", "config", "waiting", "sdk", "people", "responses", "adopt", "call"];

test("CLEVERTAP.md has a row for every member", () => {
  const api = openPage() as Any;
  const rows = new Set([...readFileSync("../CLEVERTAP.md", "utf8").matchAll(/^\| (.*?) \|/gm)].flatMap(([, names]) => [...names!.matchAll(/`(.+?)`/g)].map(([, name]) => name!.replace(/^\$\w+_WR\./, ""))));
  const missing = ["init", "setLogLevel", "getAccountID", "logout", "clear", "pageChanged", "domainSpecification", "notificationCallback", "popupCallback", ...Object.keys(api.responses)];
  for (const [name, value] of Object.entries(api)) {
    if (own.includes(name)) continue;
    if (typeof value === "object") missing.push(...Object.keys(value as object).filter((member) => member !== "0").map((member) => name + "." + member));
    else missing.push(name);
  }
  assert.ok(missing.length > 90, String(missing.length));
  assert.deepEqual(missing.filter((name) => !rows.has(name)), []);
});
