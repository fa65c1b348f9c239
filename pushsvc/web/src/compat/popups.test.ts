import assert from "node:assert/strict";
import { test } from "node:test";
import type { WirePopup } from "../shared/popup";
import { callbackMessage, isAbout } from "./popups";

const popup: WirePopup = {
  id: "sale", variant: "b", token: "t", kind: "custom", when: { scroll: 40, exit: true },
  content: { title: "T", body: "B", image: "https://x.example/i.png", buttons: [{ id: "a", text: "Go" }], kv: { sku: "7" } },
};

test("the callback's message is CleverTap's", () => {
  assert.deepEqual(callbackMessage({ ...popup, legacy: { msgId: "1439796272_20160219", pivotId: "wzrk_default" } }), {
    msgContent: { title: "T", description: "B", imageUrl: "https://x.example/i.png", ctaText: "Go" },
    msgId: "1439796272_20160219",
    pivotId: "wzrk_default",
    kv: { sku: "7" },
    deliveryTrigger: { scroll: 40, isExitIntent: true },
  });
});

test("what there is not, is not there", () => {
  assert.deepEqual(callbackMessage({ id: "x", token: "t", kind: "custom", content: { title: "T" } }), {
    msgContent: { title: "T", description: "" },
    msgId: "x",
  });
  assert.deepEqual(callbackMessage({ id: "x", token: "t", kind: "html", content: { html: "<p>" } }).msgContent, { type: 1, html: "<p>" });
});

test("raised by the old and the new kind of call", () => {
  assert.ok(isAbout(popup, undefined));
  assert.ok(isAbout(popup, { msgId: "sale" }));
  assert.ok(isAbout({ ...popup, legacy: { msgId: "1_2" } }, { msgId: "1_2" }));
  assert.ok(!isAbout(popup, { msgId: "other" }));
});
