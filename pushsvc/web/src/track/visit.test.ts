import assert from "node:assert/strict";
import { test } from "node:test";
import { visitEntry, withoutQuery } from "./visit";

const page = "https://shop.example/sale?utm_source=mail&utm_medium=letter&utm_campaign=spring&token=secret#x";

const rows: [string, string, unknown][] = [
  ["typed in", `5 ${page} `, { type: "visit", page: "/sale", time: 5 }],
  ["from the site itself", `5 ${page} https://shop.example/`, { type: "visit", page: "/sale", time: 5 }],
  [
    "from another site: its page without query, and utm",
    `5 ${page} https://mail.example/read?id=7`,
    { type: "visit", page: "/sale", time: 5, referrer: "https://mail.example/read", utm: { source: "mail", medium: "letter", campaign: "spring" } },
  ],
  ["without utm", "5 https://shop.example/ https://mail.example/", { type: "visit", page: "/", time: 5, referrer: "https://mail.example/" }],
  ["CleverTap's names", "5 https://shop.example/?wzrk_source=a&utm_medium=b&wzrk_medium=c https://mail.example/", { type: "visit", page: "/", time: 5, referrer: "https://mail.example/", utm: { source: "a", medium: "b" } }],
  ["120 characters", `5 https://shop.example/?utm_source=${"a".repeat(200)} https://mail.example/`, { type: "visit", page: "/", time: 5, referrer: "https://mail.example/", utm: { source: "a".repeat(120) } }],
  ["nothing noted", "", undefined],
  ["rubbish", "x y z", undefined],
  ["no address", "5 y", undefined],
];

for (const [name, landing, want] of rows) test("visitEntry: " + name, () => assert.deepEqual(visitEntry(landing), want));

test("withoutQuery: campaigns stay, tokens go", () => {
  assert.equal(
    withoutQuery(`5 ${page} https://mail.example/read?id=7`),
    "5 https://shop.example/sale?utm_source=mail&utm_medium=letter&utm_campaign=spring https://mail.example/read",
  );
  assert.equal(withoutQuery("5 https://shop.example/?token=1 "), "5 https://shop.example/? ");
});
