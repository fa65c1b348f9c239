import assert from "node:assert/strict";
import { test } from "node:test";
import { define, storageArea } from "../testing/page";
import { candidates, pageFacts, shownNow } from "./place";

function openPage(visit = "", shown = ""): void {
  define({
    window: globalThis,
    localStorage: storageArea(),
    location: new URL("https://shop.example/cart?step=2"),
    document: { documentElement: { lang: "de-AT" }, referrer: "https://shop.example/" },
    navigator: { userAgent: "Mozilla/5.0 (Linux; Android 10; K) Chrome/156.0.0.0 Mobile Safari/537.36", maxTouchPoints: 5, language: "en" },
  });
  if (visit) localStorage.setItem("webpush:visit", visit);
  if (shown) localStorage.setItem("webpush:shown", shown);
}

test("pageFacts: who came from elsewhere did so for the whole visit", () => {
  openPage("5 https://shop.example/?utm_source=mail&x=1 https://mail.example/read", '{"a":2,"":1}');
  localStorage.setItem("webpush:visits", "3");
  assert.deepEqual(pageFacts(7), {
    path: "/cart",
    query: "?step=2",
    referrer: "https://mail.example/read",
    utm: { source: "mail" },
    device: "phone",
    language: "de-AT",
    visits: 3,
    now: 7,
    shown: { a: 2, "": 1 },
  });
});

test("pageFacts: nothing known", () => {
  openPage();
  const { referrer, utm, visits, shown } = pageFacts(7);
  assert.deepEqual({ referrer, utm, visits, shown }, { referrer: "", utm: {}, visits: 1, shown: {} });
});

test("shownNow: rubbish is nothing", () => {
  openPage("", "{");
  assert.deepEqual(shownNow(), {});
});

test("candidates: the site's limit holds for those that count", () => {
  openPage("", '{"a":1,"":1}');
  const page = pageFacts(7);
  const ids = (perSession?: number) => candidates({ v: "1", list: [{ id: "a", session: 1 }, { id: "b" }, { id: "c", free: true }], perSession }, page).map(({ id }) => id);
  assert.deepEqual(ids(), ["b", "c"]);
  assert.deepEqual(ids(1), ["c"]);
  assert.deepEqual(ids(2), ["b", "c"]);
});
