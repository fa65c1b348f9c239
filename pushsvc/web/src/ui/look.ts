// Colours, light or dark: what a style sheet alone cannot know.

import type { FaceOptions } from "../shared/face";
import { textOn } from "./colour";

/** Sets colours by the CSSOM, which no CSP forbids, if they are valid colours. The text
 * colour depends on the resulting accent, because the site's style sheet may override it. */
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

/** Makes the face as dark as the page: by the color-scheme that the page declares, else by
 * the visitor's preference. Returns a function that stops. */
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

/** scheme: a value of the property color-scheme, such as "dark" or "only light"; wish: the
 * visitor prefers dark. */
export function isDark(scheme: string, wish: boolean): boolean {
  const dark = /\bdark\b/.test(scheme);
  return dark === /\blight\b/.test(scheme) ? wish : dark;
}
