import assert from "node:assert/strict";
import { test } from "node:test";
import { delayUntilAsk, nextStep, type Step, type Visitor } from "./ask";

const now = 1_800_000_000_000;
const day = 86_400_000;
const base: Visitor = { permission: "default", subscribed: false, out: false, asked: 0, private: false, now };

const steps: [string, Partial<Visitor>, number | undefined, Step][] = [
  ["new visitor", {}, 604800, "ask"],
  ["denied", { permission: "denied" }, 604800, "nothing"],
  ["denied, subscription left over", { permission: "denied", subscribed: true }, 604800, "nothing"],
  ["granted", { permission: "granted" }, 604800, "subscribe"],
  ["granted, asked lately elsewhere", { permission: "granted", asked: now - 1 }, 604800, "subscribe"],
  ["granted, with privacy control", { permission: "granted", private: true }, 604800, "ask"],
  ["granted and asked, with privacy control", { permission: "granted", private: true, asked: now - 1 }, 604800, "nothing"],
  ["subscribed, with privacy control", { permission: "granted", private: true, subscribed: true }, 604800, "sync"],
  ["granted and subscribed", { permission: "granted", subscribed: true }, 604800, "sync"],
  ["granted but unsubscribed by own wish", { permission: "granted", out: true }, 604800, "nothing"],
  ["permission reset after own wish", { out: true }, 604800, "nothing"],
  ["asked a day ago", { asked: now - day }, 604800, "nothing"],
  ["asked eight days ago", { asked: now - 8 * day }, 604800, "ask"],
  ["asked exactly askAgain ago", { asked: now - 60_000 }, 60, "ask"],
  ["a millisecond earlier", { asked: now - 59_999 }, 60, "nothing"],
  ["askAgain missing means a week", { asked: now - 6 * day }, undefined, "nothing"],
  ["askAgain zero", { asked: now - 1 }, 0, "ask"],
  ["stamp slightly ahead of the clock", { asked: now + 1000 }, 604800, "nothing"],
  ["stamp a year ahead", { asked: now + 365 * day }, 604800, "ask"],
  ["stamp is rubbish", { asked: NaN }, 604800, "ask"],
];

for (const [name, visitor, askAgain, want] of steps) {
  test("nextStep: " + name, () => assert.equal(nextStep({ ...base, ...visitor }, askAgain), want));
}

test("delayUntilAsk", () => {
  const delay = (after: object | undefined, views: number, since = now) =>
    delayUntilAsk(after ? { after } : {}, views, since, now);
  assert.equal(delay({}, 1), 0);
  assert.equal(delay(undefined, 1), 0);
  assert.equal(delay({ manual: true }, 99), Infinity);
  assert.equal(delay({ pages: 2 }, 1), Infinity);
  assert.equal(delay({ pages: 2 }, 2), 0);
  assert.equal(delay({ seconds: 30 }, 1), 30_000);
  assert.equal(delay({ seconds: 30 }, 3, now - 20_000), 10_000);
  assert.equal(delay({ seconds: 30 }, 3, now - 40_000), 0);
  assert.equal(delay({ seconds: 30 }, 1, now + day), 30_000);
  assert.equal(delay({ pages: 2, seconds: 30 }, 1), Infinity);
});
