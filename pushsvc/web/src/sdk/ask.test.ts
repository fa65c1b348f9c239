import assert from "node:assert/strict";
import { test } from "node:test";
import type { After, Config } from "../shared/wire";
import { pathAllowed } from "../shared/path";
import { afterOf, bellHelps, delayUntilAsk, nextStep, type Step, type Visitor } from "./ask";

const now = 1_800_000_000_000;
const day = 86_400_000;
const base: Visitor = { permission: "default", subscribed: false, out: false, robot: false, asked: 0, refusals: 0, private: false, now };

const backoff = [3 * 86400, 7 * 86400, 30 * 86400];

const steps: [string, Partial<Visitor>, number | number[] | undefined, Step][] = [
  ["new visitor", {}, 604800, "ask"],
  ["denied", { permission: "denied" }, 604800, "nothing"],
  ["denied, subscription left over", { permission: "denied", subscribed: true }, 604800, "nothing"],
  ["granted", { permission: "granted" }, 604800, "subscribe"],
  ["granted, asked lately elsewhere", { permission: "granted", asked: now - 1 }, 604800, "subscribe"],
  ["granted, with privacy control", { permission: "granted", private: true }, 604800, "ask"],
  ["granted and asked, with privacy control", { permission: "granted", private: true, asked: now - 1 }, 604800, "nothing"],
  ["subscribed, with privacy control", { permission: "granted", private: true, subscribed: true }, 604800, "sync"],
  ["granted and subscribed", { permission: "granted", subscribed: true }, 604800, "sync"],
  ["granted but the visitor unsubscribed", { permission: "granted", out: true }, 604800, "nothing"],
  ["permission reset after own wish", { out: true }, 604800, "nothing"],
  ["asked a day ago", { asked: now - day }, 604800, "nothing"],
  ["asked eight days ago", { asked: now - 8 * day }, 604800, "ask"],
  ["asked exactly askAgain ago", { asked: now - 60_000 }, 60, "ask"],
  ["a millisecond earlier", { asked: now - 59_999 }, 60, "nothing"],
  ["askAgain missing means a week", { asked: now - 6 * day }, undefined, "nothing"],
  ["askAgain zero", { asked: now - 1 }, 0, "ask"],
  ["stamp slightly ahead of the clock", { asked: now + 1000 }, 604800, "nothing"],
  ["stamp a year ahead", { asked: now + 365 * day }, 604800, "ask"],
  ["crawler", { robot: true }, 604800, "nothing"],
  ["crawler that grants everything", { robot: true, permission: "granted" }, 604800, "nothing"],
  ["list: first refusal, within", { asked: now - 2 * day, refusals: 1 }, backoff, "nothing"],
  ["list: first refusal, after", { asked: now - 3 * day, refusals: 1 }, backoff, "ask"],
  ["list: second refusal, within", { asked: now - 6 * day, refusals: 2 }, backoff, "nothing"],
  ["list: second refusal, after", { asked: now - 7 * day, refusals: 2 }, backoff, "ask"],
  ["list: third refusal, within", { asked: now - 29 * day, refusals: 3 }, backoff, "nothing"],
  ["list: ninth refusal, within", { asked: now - 29 * day, refusals: 9 }, backoff, "nothing"],
  ["list: ninth refusal, after", { asked: now - 30 * day, refusals: 9 }, backoff, "ask"],
  ["list: refusal of a visitor of before lists", { asked: now - 2 * day }, backoff, "nothing"],
  ["list is empty: a week", { asked: now - 6 * day, refusals: 1 }, [], "nothing"],
  ["stamp is rubbish", { asked: NaN }, 604800, "ask"],
];

for (const [name, visitor, askAgain, want] of steps) {
  test("nextStep: " + name, () => assert.equal(nextStep({ ...base, ...visitor }, askAgain), want));
}

test("delayUntilAsk", () => {
  const delay = (after: After, views: number, since = now) => delayUntilAsk(after, views, since, now);
  assert.equal(delay({}, 1), 0);
  assert.equal(delay({ manual: true }, 99), Infinity);
  assert.equal(delay({ pages: 2 }, 1), Infinity);
  assert.equal(delay({ pages: 2 }, 2), 0);
  assert.equal(delay({ seconds: 30 }, 1), 30_000);
  assert.equal(delay({ seconds: 30 }, 3, now - 20_000), 10_000);
  assert.equal(delay({ seconds: 30 }, 3, now - 40_000), 0);
  assert.equal(delay({ seconds: 30 }, 1, now + day), 30_000);
  assert.equal(delay({ pages: 2, seconds: 30 }, 1), Infinity);
});

test("afterOf: never on the first page unless the site says so", () => {
  const after = (config: object) => afterOf(config as Config);
  assert.deepEqual(after({}), { pages: 2 });
  assert.deepEqual(after({ prompt: {} }), { pages: 2 });
  assert.deepEqual(after({ prompt: { after: {} } }), {});
  assert.deepEqual(after({ compat: "clevertap" }), { manual: true });
  assert.deepEqual(after({ compat: "onesignal" }), { pages: 2 });
  assert.deepEqual(after({ compat: "clevertap", prompt: { after: { exit: true } } }), { exit: true });
});

const paths: [string, string[] | undefined, string[] | undefined, boolean][] = [
  ["/", undefined, undefined, true],
  ["/a", ["/a"], undefined, true],
  ["/a/b", ["/a"], undefined, false],
  ["/a/b/c", ["/a/*"], undefined, true],
  ["/a", ["/a/*"], undefined, false],
  ["/x/checkout/pay", undefined, ["*/checkout*"], false],
  ["/shop", undefined, ["/checkout*"], true],
  ["/a/secret", ["/a/*"], ["/a/secret"], false],
  ["/b", ["/a/*", "/b"], undefined, true],
  ["/axb", ["/a.b"], undefined, false],
  ["/a(b)+[c]", ["/a(b)+[c]"], undefined, true],
  ["/a\n", ["/a*"], undefined, true],
  ["/", [], [], true],
  ["/%D0%BA%D0%BE%D1%80%D0%B7%D0%B8%D0%BD%D0%B0/1", undefined, ["/корзина*"], false],
  ["/gr%C3%B6%C3%9Fe", ["/größe*"], undefined, true],
  ["/gro%cc%88%c3%9fe", ["/größe"], undefined, true],
  ["/größe", ["/gr%c3%b6%C3%9Fe"], undefined, true],
  ["/a%20b", undefined, ["/a b*"], false],
  ["/a+b", undefined, ["/a b*"], true],
  ["/a%2Fb", ["/a/b"], undefined, false],
  ["/a%2fb", ["/a%2Fb"], undefined, true],
  ["/100%25", ["/100%"], undefined, true],
  ["/%e4", ["/%E4"], undefined, true],
  ["/axb", ["/a%2Ab"], undefined, false],
  ["/a*b", ["/a%2Ab"], undefined, true],
];

for (const [path, within, out, want] of paths) {
  test(`pathAllowed: ${path} in ${within} out ${out}`, () => assert.equal(pathAllowed(path, { in: within, out }), want));
}

test("the bell helps visitors who have blocked us, and no others", () => {
  const denied = { ...base, permission: "denied" as const };
  assert.equal(bellHelps(denied, "bell"), true);
  assert.equal(bellHelps(denied, "dialog"), false);
  assert.equal(bellHelps(denied, undefined), false);
  assert.equal(bellHelps(base, "bell"), false);
  assert.equal(bellHelps({ ...denied, out: true }, "bell"), false);
  assert.equal(bellHelps({ ...denied, robot: true }, "bell"), false);
});
