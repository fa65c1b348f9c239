/** The absolute form of an http(s) URL, undefined for all else. What is checked
 * is what is used: parsers differ on tabs and the like. */
export function webURL(text: string | undefined, base = location.href): string | undefined {
  if (!text) return undefined;
  try {
    const url = new URL(text, base);
    return /^https?:$/.test(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}
