type RGB = [number, number, number];

/** Reads what getComputedStyle returns for sRGB colours: rgb(r, g, b) or rgba(r, g, b, a).
 * Returns undefined for other colour spaces. */
export function parseRGB(text: string): RGB | undefined {
  const match = /^rgba?\((\d+(?:\.\d+)?),? (\d+(?:\.\d+)?),? (\d+(?:\.\d+)?)/.exec(text);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : undefined;
}

/** Relative luminance, 0 to 1 (WCAG 2.2). */
function luminance(rgb: RGB): number {
  const [r, g, b] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as RGB;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast ratio, 1 to 21 (WCAG 2.2). */
export function contrast(a: RGB, b: RGB): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** The text colour for a button: the wanted one if it is readable there (3:1), else white
 * or near-black. White wins from 3.6:1 on: the formula would often prefer black, but
 * people read white on a strong colour more easily. */
export function textOn(background: string, wanted?: string): string {
  const back = parseRGB(background);
  const text = wanted ? parseRGB(wanted) : undefined;
  if (!back) return wanted || "#fff";
  if (wanted && (!text || contrast(back, text) >= 3)) return wanted;
  return contrast(back, [255, 255, 255]) >= 3.6 ? "#fff" : "#111";
}
