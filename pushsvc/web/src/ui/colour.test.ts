import assert from "node:assert/strict";
import { test } from "node:test";
import { contrast, parseRGB, textOn } from "./colour";

test("parseRGB reads computed colours", () => {
  assert.deepEqual(parseRGB("rgb(11, 107, 203)"), [11, 107, 203]);
  assert.deepEqual(parseRGB("rgba(1, 2, 3, 0.5)"), [1, 2, 3]);
  assert.equal(parseRGB("oklch(0.5 0.2 240)"), undefined);
  assert.equal(parseRGB(""), undefined);
});

test("contrast follows WCAG", () => {
  assert.equal(contrast([0, 0, 0], [255, 255, 255]), 21);
  assert.equal(contrast([9, 9, 9], [9, 9, 9]), 1);
  // #767676 on white is the well-known 4.54.
  assert.equal(contrast([118, 118, 118], [255, 255, 255]).toFixed(2), "4.54");
});

test("textOn", () => {
  assert.equal(textOn("rgb(11, 107, 203)"), "#fff");
  assert.equal(textOn("rgb(255, 212, 0)"), "#111");
  assert.equal(textOn("rgb(0, 0, 0)"), "#fff");
  assert.equal(textOn("rgb(255, 255, 255)"), "#111");
  // A wanted colour stays if it is readable.
  assert.equal(textOn("rgb(11, 107, 203)", "rgb(255, 240, 200)"), "rgb(255, 240, 200)");
  assert.equal(textOn("rgb(255, 255, 255)", "rgb(255, 255, 200)"), "#111");
  assert.equal(textOn("rgb(10, 10, 10)", "rgb(0, 0, 0)"), "#fff");
  // Unknown colour spaces: the operator's colour, else white.
  assert.equal(textOn("oklch(0.5 0.2 240)", "rgb(0, 0, 0)"), "rgb(0, 0, 0)");
  assert.equal(textOn("oklch(0.5 0.2 240)"), "#fff");
});

test("textOn is readable on every grey and primary", () => {
  for (let v = 0; v < 256; v++) {
    for (const back of [[v, v, v], [v, 0, 0], [0, v, 0], [0, 0, v], [255, v, 0]] as const) {
      const text = textOn(`rgb(${back.join(", ")})`) === "#fff" ? 255 : 17;
      assert.ok(contrast([...back], [text, text, text]) >= 3.5, String(back));
    }
  }
});
