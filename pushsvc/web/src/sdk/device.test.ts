import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceOf, isInstallable, isRobot } from "./device";

const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
const iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";

const robots: [string, boolean, string][] = [
  ["Chrome", false, chrome],
  ["Firefox", false, "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"],
  ["Headless, for tests of the site's own", false, chrome.replace("Chrome/", "HeadlessChrome/")],
  ["a Cubot telephone", false, "Mozilla/5.0 (Linux; Android 13; CUBOT P80) AppleWebKit/537.36 Chrome/139.0.0.0 Mobile Safari/537.36"],
  ["Googlebot", true, "Mozilla/5.0 AppleWebKit/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html) Chrome/140.0.0.0"],
  ["bingbot", true, "Mozilla/5.0 (compatible; bingbot/2.0)"],
  ["Yahoo", true, "Mozilla/5.0 (compatible; Yahoo! Slurp)"],
  ["Baidu", true, "Mozilla/5.0 (compatible; Baiduspider/2.0)"],
  ["Lighthouse", true, chrome + " Chrome-Lighthouse"],
  ["link preview", true, "facebookexternalhit/1.1"],
  ["Facebook's app", true, iphone + " Mobile/15E148 [FBAN/FBIOS;FBAV/440.0]"],
  ["Instagram's app", true, iphone + " Mobile/15E148 Instagram 308.0"],
  ["WeChat", true, "Mozilla/5.0 (Linux; Android 13) Chrome/116 Mobile Safari/537.36 MicroMessenger/8.0"],
  ["Line", true, iphone + " Safari Line/13.0"],
  ["Android WebView", true, "Mozilla/5.0 (Linux; Android 13; Pixel 6 Build/TQ3A; wv) AppleWebKit/537.36 Version/4.0 Chrome/116 Mobile"],
];

for (const [name, want, agent] of robots) {
  test("isRobot: " + name, () => assert.equal(isRobot(agent), want));
}

const installables: [string, boolean, string, number][] = [
  ["iPhone", true, iphone + " Version/17.2 Mobile/15E148 Safari/604.1", 5],
  ["iPhone with Chrome", true, iphone + " CriOS/120.0 Mobile/15E148 Safari/604.1", 5],
  ["iPhone with 16.4", true, iphone.replace("17_2", "16_4"), 5],
  ["iPhone with 16.3", false, iphone.replace("17_2", "16_3"), 5],
  ["iPad as iPad", true, iphone.replace("iPhone; CPU iPhone OS", "iPad; CPU OS"), 5],
  ["iPad as a Mac", true, "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.2 Safari/605.1.15", 5],
  ["Mac", false, "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.2 Safari/605.1.15", 0],
  ["iPhone with Instagram's app", false, iphone + " Instagram 308.0", 5],
  ["Android", false, "Mozilla/5.0 (Linux; Android 13) Version/17.2", 5],
];

for (const [name, want, agent, touch] of installables) {
  test("isInstallable: " + name, () => assert.equal(isInstallable(agent, touch), want));
}

const devices: [string, string, number, string][] = [
  ["desktop", "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0", 0, "desktop"],
  ["desktop with a touch screen", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36", 10, "desktop"],
  ["Mac", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15", 0, "desktop"],
  ["iPad that calls itself a Mac", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15", 5, "tablet"],
  ["Android telephone", "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36", 5, "phone"],
  ["Android tablet", "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36", 5, "tablet"],
  ["Firefox on Android", "Mozilla/5.0 (Android 14; Mobile; rv:153.0) Gecko/153.0 Firefox/153.0", 5, "phone"],
  ["iPhone", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1", 5, "phone"],
];

for (const [name, agent, touchPoints, want] of devices) test("deviceOf: " + name, () => assert.equal(deviceOf(agent, touchPoints), want));
