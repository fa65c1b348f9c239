// Where addresses become absolute, all of them: a relative one would follow the
// page's <base>, which may name another host. build/address_test.go sees to it.

/** The address of something of ours, a path on this origin. Throws where the
 * document has no origin (srcdoc): there a path would lead to its parent's base. */
export const ownURL = (path: string): string => new URL(path, location.origin).href;

/** The absolute form of an http(s) URL, undefined for all else: javascript:, data:,
 * blob:. What is relative is so to the page's address, or to another one. What is
 * checked is what is used, as parsers differ on tabs and the like. */
export function webURL(text: string | undefined, from = location.href): string | undefined {
  if (!text) return undefined;
  try {
    const { protocol, href } = new URL(text, from);
    return /^https?:$/.test(protocol) ? href : undefined;
  } catch {
    return undefined;
  }
}
