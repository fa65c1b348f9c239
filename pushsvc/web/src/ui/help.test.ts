import assert from "node:assert/strict";
import { test } from "node:test";
import { placeOf, unblockSteps, type Place } from "./help";
import { readTexts } from "./texts_english";

const mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15";

const agents: [string, number, Place][] = [
  ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", 0, "chromium"],
  ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0", 10, "chromium"],
  ["Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36", 5, "chromium-android"],
  ["Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36 EdgA/131.0.0.0", 5, "chromium-android"],
  ["Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36", 5, "samsung"],
  ["Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", 0, "firefox"],
  ["Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0", 5, "firefox-android"],
  [mac, 0, "safari"],
  [mac, 5, "ios"],
  ["Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1", 5, "ios"],
  ["Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.0.0 Mobile/15E148 Safari/604.1", 5, "ios"],
  ["", 0, "chromium"],
];

for (const [agent, touch, want] of agents) {
  test(`${want}: ${agent.slice(-60)} ${touch}`, () => assert.equal(placeOf(agent, touch), want));
}

test("the steps of each place", () => {
  const steps = (place: Place) => unblockSteps(place, readTexts(), "A $& shop");
  assert.deepEqual(steps("ios"), ["Open Settings › Notifications › A $& shop.", "Set “Notifications” to “Allow”."]);
  assert.equal(steps("safari")[0], "Open Safari › Settings › Websites › Notifications.");
  assert.equal(steps("samsung")[0], "Open ☰ › Settings › Websites… › Notifications.");
  assert.equal(steps("firefox")[1], "Remove the block on notifications with ✕.");
  assert.equal(steps("firefox-android")[1], "Set “Notifications” to “Allow”.");
  assert.equal(steps("chromium-android").length, 4);
  assert.equal(steps("chromium").length, 3);
});
