import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseLanguage, direction, fill } from "./language";
import texts from "./texts";
import { others, readTexts } from "./texts_english";

const languages = ["en", ...others];
const textsOf = (language: string) => readTexts(texts[language]);

test("the page's language comes first, then the visitor's, then English", () => {
  const choose = (...wanted: (string | undefined)[]) => chooseLanguage(wanted, languages);
  assert.equal(choose("de"), "de");
  assert.equal(choose("de-AT", "fr"), "de");
  assert.equal(choose("DE_ch"), "de");
  assert.equal(choose("fi", "sv-FI", "en"), "sv");
  assert.equal(choose("", "fr-CA"), "fr");
  assert.equal(choose(undefined, " pt-BR "), "pt");
  assert.equal(choose("tlh"), "en");
  assert.equal(choose(), "en");
  // Prefixes do not match: Filipino is not Finnish, gsw is not German.
  assert.equal(choose("deu"), "en");
  assert.equal(choose("constructor", "__proto__"), "en");
});

test("Chinese by script, old codes by their new names", () => {
  const choose = (tag: string) => chooseLanguage([tag], languages);
  for (const tag of ["zh", "zh-CN", "zh-Hans", "zh-SG", "zh-Hans-CN"]) assert.equal(choose(tag), "zh", tag);
  for (const tag of ["zh-TW", "zh-HK", "zh-Hant", "zh-Hant-MO", "zh_TW"]) assert.equal(choose(tag), "zh-Hant", tag);
  assert.equal(choose("iw-IL"), "he");
  assert.equal(choose("in"), "id");
});

test("direction", () => {
  assert.deepEqual(languages.filter((language) => direction(language) === "rtl").sort(), ["ar", "he"]);
});

test("fill replaces once and leaves what it does not know", () => {
  assert.equal(fill("News from {n}, {n}!", { n: "{s}", s: "no" }), "News from {s}, {s}!");
  assert.equal(fill("Open {p}.", {}), "Open {p}.");
  assert.equal(fill("{n}", { n: "$& $1" }), "$& $1");
});

test("every language has every text with the same places to fill", () => {
  assert.deepEqual(Object.keys(texts), others);
  assert.ok(languages.length >= 20, String(languages.length));
  const places = (text: string) => (text.match(/\{\w\}/g) ?? []).sort().join("");
  const english = textsOf("en");
  const keys = Object.keys(english) as (keyof typeof english)[];
  for (const language of languages) {
    const texts = textsOf(language);
    assert.equal(Object.keys(texts).length, keys.length, language);
    for (const key of keys) {
      assert.ok(texts[key] && texts[key] === texts[key].trim(), `${language}.${key}`);
      assert.equal(places(texts[key]), places(english[key]), `${language}.${key}`);
      // Labels of buttons stay short enough for a phone.
      if (key === "accept" || key === "reject") assert.ok(texts[key].length <= 20, `${language}.${key}`);
    }
    // Forgotten texts would still be English; Dutch says websites too.
    if (language === "en") continue;
    const same = keys.filter((key) => texts[key] === english[key]);
    assert.ok(same.length <= 2, `${language}: ${same.join()}`);
  }
});
