// Colours, light or dark: what a style sheet alone cannot know.

import type { FaceOptions } from "../shared/face";
import { textOn } from "./colour";

/** Colours come in through the CSSOM, which no CSP forbids, and only if they
 * are colours. The text colour depends on the accent as it came out, because
 * the site's style sheet may have the last word. */
export function applyColours(face: HTMLElement, { color, textColor }: Pick<FaceOptions, "color" | "textColor">): void {
  const valid = (value: string | undefined) => (value && CSS.supports("color", value) ? value : undefined);
  const resolve = (value: string) => {
    face.style.color = value;
    const resolved = getComputedStyle(face).color;
    face.style.color = "";
    return resolved;
  };
  const wanted = valid(textColor);
  if (valid(color)) face.style.setProperty("--own-color", color!);
  const text = textOn(resolve("var(--accent)"), wanted && resolve(wanted));
  face.style.setProperty("--on-accent", `var(--webpush-text-color, ${text})`);
}

/** Keeps the face as dark as the page: what the page declares by color-scheme
 * counts, else the visitor's wish. Returns a function that stops. */
export function followScheme(face: HTMLElement): () => void {
  const wish = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => face.classList.toggle("dark", isDark(declaredScheme(), wish.matches));
  wish.addEventListener("change", apply);
  apply();
  return () => wish.removeEventListener("change", apply);
}

function declaredScheme(): string {
  const computed = getComputedStyle(document.documentElement).colorScheme;
  const meta = document.querySelector<HTMLMetaElement>('meta[name="color-scheme"]');
  return computed && computed !== "normal" ? computed : meta?.content ?? "";
}

/** scheme is a value of the property color-scheme: "dark", "only light", …; wish
 * is the visitor's for dark. */
export function isDark(scheme: string, wish: boolean): boolean {
  const dark = /\bdark\b/.test(scheme);
  return dark === /\blight\b/.test(scheme) ? wish : dark;
}
