import assert from "node:assert/strict";
import { test } from "node:test";
import { decide, readWish, type Decision, type Surroundings, type Wish } from "./prompt";

const full = { titleText: "T", bodyText: "B", okButtonText: "Y", rejectButtonText: "N" };
const call = () => {};

const wishes: [string, unknown[], Partial<Wish>][] = [
  ["titleText, bodyText, okButtonText, rejectButtonText", [full], full],
  ["okButtonColor", [{ ...full, okButtonColor: "#0a0B0c" }], { okButtonColor: "#0a0B0c" }],
  ["okButtonColor, default", [full], { okButtonColor: "#f28046" }],
  ["okButtonColor, malformed", [{ okButtonColor: "red" }], { okButtonColor: "#f28046" }],
  ["okButtonColor, short", [{ okButtonColor: "#fff" }], { okButtonColor: "#f28046" }],
  ["okButtonAriaLabel, rejectButtonAriaLabel", [{ okButtonAriaLabel: "yes", rejectButtonAriaLabel: "no" }], { okButtonAriaLabel: "yes", rejectButtonAriaLabel: "no" }],
  ["skipDialog", [{ skipDialog: true }], { skipDialog: true }],
  ["skipDialog, default", [{}], { skipDialog: false }],
  ["askAgainTimeInSeconds", [{ askAgainTimeInSeconds: 60 }], { askAgainTimeInSeconds: 60 }],
  ["askAgainTimeInSeconds, zero", [{ askAgainTimeInSeconds: 0 }], { askAgainTimeInSeconds: 0 }],
  ["askAgainTimeInSeconds, as text", [{ askAgainTimeInSeconds: "60" }], { askAgainTimeInSeconds: 60 }],
  ["askAgainTimeInSeconds, default", [{}], { askAgainTimeInSeconds: 604800 }],
  ["askAgainTimeInSeconds, rubbish", [{ askAgainTimeInSeconds: "soon" }], { askAgainTimeInSeconds: 604800 }],
  ["okCallback, rejectCallback, subscriptionCallback", [{ okCallback: call, rejectCallback: call, subscriptionCallback: call }], { okCallback: call, rejectCallback: call, subscriptionCallback: call }],
  ["a callback that is not a function", [{ okCallback: "x" }], { okCallback: undefined }],
  [
    "hidePoweredByCT, httpsPopupPath, httpsIframePath, apnsWebPushId, apnsWebPushServiceUrl, okButtonAfterText",
    [{ okButtonAfterText: "", apnsWebPushServiceUrl: "", apnsWebPushId: "", httpsIframePath: "", httpsPopupPath: "", hidePoweredByCT: true }],
    { ignored: ["hidePoweredByCT", "httpsPopupPath", "httpsIframePath", "apnsWebPushId", "apnsWebPushServiceUrl", "okButtonAfterText"] },
  ],
  ["serviceWorkerPath", [{ serviceWorkerPath: "/x.js" }], { serviceWorkerPath: "/x.js", ignored: [] }],
  ["positional, four", ["T", "B", "Y", "N"], { ...full, okButtonColor: "#f28046", skipDialog: false, askAgainTimeInSeconds: 604800 }],
  ["positional, seven", ["T", "B", "Y", "N", "#112233", true, 60], { ...full, okButtonColor: "#112233", skipDialog: true, askAgainTimeInSeconds: 60 }],
  ["nothing at all", [], { titleText: "", skipDialog: false, ignored: [] }],
];

for (const [name, args, want] of wishes) {
  test("readWish: " + name, () => {
    const wish = readWish(args) as unknown as Record<string, unknown>;
    for (const [member, value] of Object.entries(want)) assert.deepEqual(wish[member], value, member);
  });
}

const now = 1_800_000_000_000;
const ready: Surroundings = {
  account: true,
  serviceWorker: true,
  secure: true,
  pushManager: true,
  notification: true,
  permission: "default",
  shown: 0,
  open: false,
  now,
};
const none = (error?: string): Decision => ({ step: "nothing", error });
const missing = "Missing input parameters; please specify title, body, ok button and cancel button text";

/** The order of decisions: each row fails at one condition more than the row after it. */
const decisions: [string, Partial<Surroundings>, Record<string, unknown>, Decision][] = [
  ["no account", { account: false, serviceWorker: false }, {}, none("Account ID is not set")],
  ["no service worker: no message", { serviceWorker: false, secure: false }, {}, none()],
  ["neither https nor localhost", { secure: false, pushManager: false }, {}, none("Make sure you are https or localhost to register for notifications")],
  ["no PushManager", { pushManager: false, notification: false }, {}, none("Web Push Notification is not supported on this browser")],
  ["no Notification", { notification: false }, {}, none("Notification not supported on this Device or Browser")],
  ["granted: silently, without texts", { permission: "granted", shown: now }, {}, { step: "register" }],
  ["denied", { permission: "denied" }, { skipDialog: true }, none()],
  ["skipDialog: without texts, however lately", { shown: now }, { skipDialog: true }, { step: "subscribe" }],
  ["a text is missing", { shown: now }, { ...full, rejectButtonText: "" }, none(missing)],
  ["shown lately", { shown: now - 604_799_000 }, full, none()],
  ["shown a week ago", { shown: now - 604_800_000 }, full, { step: "show" }],
  ["askAgainTimeInSeconds has passed", { shown: now - 60_000 }, { ...full, askAgainTimeInSeconds: 60 }, { step: "show" }],
  ["askAgainTimeInSeconds has not", { shown: now - 59_000 }, { ...full, askAgainTimeInSeconds: 60 }, none()],
  ["a clock that ran ahead by a year", { shown: now + 31_536_000_000 }, full, { step: "show" }],
  ["on display already", { open: true }, full, none()],
  ["otherwise", {}, full, { step: "show" }],
];

for (const [name, at, options, want] of decisions) {
  test("decide: " + name, () => assert.deepEqual(decide({ ...ready, ...at }, readWish([options])), want));
}
