// Every address becomes absolute here: a relative one would follow the page's <base>, which
// may name another host. build/address_test.go checks the sources.

/** Returns the address of something of ours, a path on this origin. Throws in a document
 * without an origin (srcdoc), where a path would follow its parent's base. */
export const ownURL = (path: string): string => new URL(path, location.origin).href;

/** Returns the absolute form of an http(s) URL; undefined for anything else, such as
 * javascript:, data: and blob:. A relative one is relative to the page's address, or to
 * from. It checks the URL that it returns, because parsers differ on tabs and the like. */
export function webURL(text: string | undefined, from = location.href): string | undefined {
  if (!text) return undefined;
  try {
    const { protocol, href } = new URL(text, from);
    return /^https?:$/.test(protocol) ? href : undefined;
  } catch {
    return undefined;
  }
}
