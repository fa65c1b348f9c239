import assert from "node:assert/strict";
import { test } from "node:test";
import type { WirePopup } from "../shared/popup";
import { clickMessage, message } from "./message";

const now = new Date("2026-11-23T23:59:59Z");
const popup = (more: Partial<WirePopup>): WirePopup => ({ id: "sale", token: "t", kind: "custom", content: {}, ...more });

const rows: [string, Partial<WirePopup>, unknown][] = [
  [
    "CleverTap's guide",
    {
      legacy: { msgId: "1439796272_20160219" },
      content: { title: "Title", body: "Text", kv: { coupon: "X" } },
    },
    { msgContent: { title: "Title", description: "Text" }, msgId: "1439796272_20160219", kv: { coupon: "X" } },
  ],
  ["our own id and the day", { content: { title: "T" } }, { msgContent: { title: "T" }, msgId: "sale_20261123" }],
  ["variant", { variant: "b", content: {} }, { msgContent: {}, msgId: "sale_20261123", pivotId: "b" }],
  ["the base is not a variant", { variant: "", content: {} }, { msgContent: {}, msgId: "sale_20261123" }],
  [
    "image and button",
    { content: { image: "/a.png", buttons: [{ id: "go", text: "Go" }, { id: "no", text: "No" }] } },
    { msgContent: { imageUrl: "/a.png", ctaText: "Go" }, msgId: "sale_20261123" },
  ],
  ["HTML", { content: { html: "<p>" } }, { msgContent: { type: 1, html: "<p>" }, msgId: "sale_20261123" }],
  [
    "triggers",
    { when: { seconds: 5, scroll: 50, idle: 30, exit: true, event: "x" } },
    { msgContent: {}, msgId: "sale_20261123", deliveryTrigger: { inactive: 30, scroll: 50, isExitIntent: true, deliveryDelayed: 5 } },
  ],
];

for (const [name, more, want] of rows) test("message: " + name, () => assert.deepEqual(message(popup(more), now), want));

test("clickMessage", () => {
  assert.deepEqual(clickMessage(popup({ variant: "b", content: { kv: { a: "1" } } }), { wzrk_click_id: "cta", wzrk_click_c2a: "buy" }, now), {
    msgId: "sale_20261123",
    pivotId: "b",
    kv: { a: "1" },
    msgCTkv: [{ wzrk_click_id: "cta" }, { wzrk_click_c2a: "buy" }],
  });
  assert.deepEqual(clickMessage(popup({}), undefined, now), { msgId: "sale_20261123", msgCTkv: [] });
});
