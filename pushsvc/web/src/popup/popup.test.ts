import assert from "node:assert/strict";
import { test } from "node:test";
import type { WirePopup } from "../shared/popup";
import { others } from "../ui/texts_english";
import { readMessages, withMessage } from "./inbox_messages";
import { readTexts } from "./texts_english";
import texts from "./texts";

test("every language has every word with the same places to fill", () => {
  assert.deepEqual(Object.keys(texts), others);
  const english = readTexts();
  for (const language of others) {
    const own = readTexts(texts[language]);
    for (const [key, text] of Object.entries(english)) {
      const translated = own[key as keyof typeof own];
      assert.ok(translated && translated === translated.trim(), `${language}.${key}`);
      assert.equal(translated.includes("{n}"), text.includes("{n}"), `${language}.${key}`);
    }
    assert.equal(texts[language]!.split("|").length, Object.keys(english).length, language);
  }
});

const day = 86_400_000;
const message = (id: string, title = id): WirePopup => ({ id, token: "t", kind: "inbox", content: { title }, when: { seconds: 1 }, caps: { session: 1 } });

test("a message is kept once, newest first, without its rules", () => {
  let list = withMessage([], message("a"), 1000);
  list = withMessage(list, message("b"), 2000);
  assert.deepEqual(list.map(({ popup }) => popup.id), ["b", "a"]);
  assert.ok(!("when" in list[0]!.popup) && !("caps" in list[0]!.popup));
  list[1]!.read = true;
  list = withMessage(list, message("a", "new words"), 3000);
  assert.deepEqual(list.map(({ popup, at, read }) => [popup.content.title, at, read]), [["b", 2000, undefined], ["new words", 1000, true]]);
});

test("the inbox has an end, and forgets", () => {
  let list = [] as ReturnType<typeof withMessage>;
  for (let i = 0; i < 40; i++) list = withMessage(list, message("m" + i), i * day);
  assert.equal(list.length, 15);
  assert.equal(list[0]!.popup.id, "m39");
  const kept = readMessages(JSON.stringify(list), 60 * day);
  assert.deepEqual([kept.length, kept[8]!.popup.id], [9, "m31"]);
});

test("anything else in the storage is dropped", () => {
  for (const text of ["", "null", "7", "{}", '"x"', "[1, null, []]", '[{"popup":{}}]', '[{"popup":{"id":1,"content":{}},"at":9}]', '[{"popup":{"id":"a","content":null},"at":9}]', "[[["]) {
    assert.deepEqual(readMessages(text, 0), [], text);
  }
  assert.equal(readMessages('[null, {"popup":{"id":"a","content":{}},"at":9}]', 0).length, 1);
});
