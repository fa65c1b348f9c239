import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProfileOp } from "../shared/entries";
import { type Any, entries, openPage, sdkAnswers, runPending } from "../testing/clevertap";
import { consoleOf, define } from "../testing/page";
import { counted, operated, sumOf } from "./people";

test("counted: first and last, and no more names than are kept", () => {
  let events = counted(counted({}, "a", 5), "a", 9);
  assert.deepEqual(events, { a: [2, 5, 9] });
  events = counted(events, "constructor", 9);
  assert.deepEqual(events.constructor, [1, 9, 9]);
  for (let i = 0; i < 300; i++) events = counted(events, "e" + i, 10);
  assert.equal(Object.keys(events).length, 200);
  assert.deepEqual(counted(events, "a", 11).a, [3, 5, 11]);
});

test("sumOf", () => {
  assert.deepEqual(sumOf([3, 10, 20], [2, 5, 30]), [5, 5, 30]);
  assert.deepEqual(sumOf(undefined, [2, 5, 30]), [2, 5, 30]);
  assert.deepEqual(sumOf([3, 10, 20], undefined), [3, 10, 20]);
  assert.equal(sumOf(undefined, undefined), undefined);
});

const rows: [string, Record<string, unknown>, ProfileOp, Record<string, unknown>][] = [
  ["incr", { n: 1 }, { op: "incr", key: "n", value: 2 }, { n: 3 }],
  ["incr, of nothing", {}, { op: "incr", key: "n", value: 2 }, { n: 2 }],
  ["incr, of a text", { n: "a" }, { op: "incr", key: "n", value: 2 }, { n: "a" }],
  ["decr", { n: 1 }, { op: "decr", key: "n", value: 2 }, { n: -1 }],
  ["set", { t: ["a"] }, { op: "set", key: "t", value: ["b"] }, { t: ["b"] }],
  ["add, each once", { t: ["a"] }, { op: "add", key: "t", value: ["a", "b"] }, { t: ["a", "b"] }],
  ["add, to a value", { t: "a" }, { op: "add", key: "t", value: ["b"] }, { t: ["a", "b"] }],
  ["remove", { t: ["a", "b"] }, { op: "remove", key: "t", value: ["a"] }, { t: ["b"] }],
  ["remove, of nothing", {}, { op: "remove", key: "t", value: ["a"] }, {}],
  ["delete", { a: 1, b: 2 }, { op: "delete", key: "a" }, { b: 2 }],
];

for (const [name, values, op, want] of rows) test("operated: " + name, () => assert.deepEqual(operated(values, op), want));

/** What each profile contains besides. */
const tz = /GMT[+-]\d{4}/.exec(String(new Date()))![0];

const login = (...identities: [string, string][]) => ({
  type: "login",
  identities: identities.map(([kind, value]) => ({ kind, value })),
});

/** What is recorded besides events. */
const recorded: [string, (c: Any) => unknown, unknown[]][] = [
  ["profile.push", (c) => c.profile.push({ Site: { Name: "A", Age: "x" } }), [{ type: "profile", set: { Name: "A", tz } }]],
  ["Facebook", (c) => c.profile.push({ Facebook: { name: "A", id: "7" } }), [{ type: "profile", set: { Name: "A", FBID: "7", Gender: "O", Employed: "N", tz } }]],
  ["increment", (c) => c.profile.handleIncrementValue("Score", 2), [{ type: "profile", ops: [{ op: "incr", key: "Score", value: 2 }] }]],
  ["decrement, nested", (c) => c.profile.handleDecrementValue("Cars[0].seats", 1), [{ type: "profile", ops: [{ op: "decr", key: "Cars[0].seats", value: 1 }] }]],
  ["multi-values", (c) => c.profile.addMultiValuesForKey("Tags", ["A", "a", "b"]), [{ type: "profile", ops: [{ op: "add", key: "Tags", value: ["a", "b"] }] }]],
  ["removal", (c) => c.profile.removeValueForKey("Tags"), [{ type: "profile", ops: [{ op: "delete", key: "Tags" }] }]],
  [
    "login: identities in CleverTap's order",
    (c) => c.onUserLogin.push({ Site: { FBID: "f", Email: "a@example.com", GPID: "g", Identity: 7, Name: "A" } }),
    [{ ...login(["identity", "7"], ["email", "a@example.com"], ["gpid", "g"], ["fbid", "f"]), set: { FBID: "f", Email: "a@example.com", GPID: "g", Identity: 7, Name: "A", tz } }],
  ],
  ["login: signed", (c) => c.onUserLogin.push({ Site: { Identity: "7" }, signature: "abc" }), [{ ...login(["identity", "7"]), set: { Identity: "7", tz }, signature: "abc" }]],
  ["login: the same once in a visit", (c) => [1, 2].map(() => c.onUserLogin.push({ Site: { Identity: "7" } })), [{ ...login(["identity", "7"]), set: { Identity: "7", tz } }]],
  ["login: without identities it is a profile", (c) => c.onUserLogin.push({ Site: { Name: "A" } }), [{ type: "profile", set: { Name: "A", tz } }]],
  [
    "login: recorded again after a log-out",
    (c) => (c.onUserLogin.push({ Site: { Identity: "7" } }), c.logout(), c.onUserLogin.push({ Site: { Identity: "7" } })),
    [{ ...login(["identity", "7"]), set: { Identity: "7", tz } }, { ...login(["identity", "7"]), set: { Identity: "7", tz } }],
  ],
  ["clear: another person's from then on", (c) => (c.clear(), c.profile.push({ Site: { Name: "A" } })), [{ type: "profile", set: { Name: "A", tz } }]],
  ["login: the last of several", (c) => c.onUserLogin.push({ Site: { Identity: "6" } }, { Site: { Identity: "7" } }), [{ ...login(["identity", "7"]), set: { Identity: "7", tz } }]],
  ["profile.push: a tz of the site's own", (c) => c.profile.push({ Site: { Name: "A", tz: "GMT+0530" } }), [{ type: "profile", set: { Name: "A", tz: "GMT+0530" } }]],
  [
    "login: CustomCTID, once",
    (c) => ["Kiosk:7", "kiosk:7", "no/ne", 7].map((CustomCTID) => c.onUserLogin.push({ Site: { Identity: "7", CustomCTID } })),
    [{ ...login(["identity", "7"]), set: { Identity: "7", tz } }, { type: "adopt", device: "_w_kiosk:7" }, { type: "adopt", device: "_w_7" }],
  ],
  ["getLocation", (c) => c.getLocation(48.1, 11.6), [{ Latitude: 48.1, Longitude: 11.6 }]],
  ["getLocation: without geolocation", (c) => c.getLocation(), []],
];

for (const [name, call, want] of recorded) {
  test("recorded: " + name, async () => {
    const api = openPage();
    consoleOf(() => void call(api));
    await runPending();
    assert.deepEqual(entries, want);
  });
}

test("getLocation: the browser is asked once in a day", () => {
  const api = openPage() as Any;
  let asked = 0;
  const geolocation = { getCurrentPosition: (done: (at: unknown) => void) => (asked++, done({ coords: { latitude: 1.5, longitude: 2.5 } })) };
  define({ navigator: { serviceWorker: {}, geolocation } });
  api.getLocation();
  api.getLocation();
  assert.equal(asked, 1);
  assert.deepEqual(entries, [{ Latitude: 1.5, Longitude: 2.5 }, { Latitude: 1.5, Longitude: 2.5 }]);
});

test("getters: what was pushed here, on top of what CleverTap knew", () => {
  const api = openPage() as Any;
  api.enablePersonalization = true;
  localStorage.setItem("WZRK_EV", '{"Added":[3,1700000000,1700000100]}');
  localStorage.setItem("WZRK_PR", '{"Name":"A","Score":3}');
  api.event.push("Added", "Bought");
  api.profile.push({ Site: { Name: "B" } });
  api.profile.handleIncrementValue("Score", 2);
  const added = api.event.getDetails("Added");
  assert.equal(added.count, 4);
  assert.deepEqual(added.firstTime, new Date(1.7e12));
  assert.ok(added.lastTime > new Date(1.7e12 + 1e5));
  assert.equal(api.event.getDetails("Bought").count, 1);
  assert.deepEqual([api.profile.getAttribute("Name"), api.profile.getAttribute("Score")], ["B", 5]);
});

test("getters: never another person's", () => {
  const api = openPage() as Any;
  api.enablePersonalization = true;
  localStorage.setItem("WZRK_EV", '{"Added":[3,1700000000,1700000100]}');
  api.onUserLogin.push({ Site: { Identity: "1", Name: "A" } });
  api.event.push("Bought");
  api.onUserLogin.push({ Site: { Identity: "2" } });
  assert.equal(api.event.getDetails("Bought"), undefined);
  assert.equal(api.event.getDetails("Added"), undefined);
  assert.equal(api.profile.getAttribute("Name"), undefined);
  assert.equal(api.profile.getAttribute("Identity"), "2");
});

test("getters: nothing is counted of what is not recorded", () => {
  const api = openPage() as Any;
  api.enablePersonalization = true;
  sdkAnswers.taken = false;
  api.event.push("Added");
  api.profile.push({ Site: { Name: "A" } });
  assert.equal(api.event.getDetails("Added"), undefined);
  assert.equal(api.profile.getAttribute("Name"), undefined);
});
