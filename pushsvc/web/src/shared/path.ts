// Where something may show (Go: onsite/path.go; pushsvc/onsite/testdata/cases.json tests
// both).

/** A path as people write it: without escapes of UTF-8 text, in Unicode's form C. An
 * escaped slash stays escaped. */
const canonical = (path: string) =>
  path
    .replace(/%2f/gi, "%252F")
    .replace(/(%[\da-f]{2})+/gi, (run) => {
      try {
        return decodeURIComponent(run);
      } catch {
        return run.toUpperCase();
      }
    })
    .normalize();

/** Reports whether one of the patterns covers the whole text; `*` stands for anything. */
export const like = (text: string, patterns: string[], form = (part: string) => part) =>
  patterns.some((pattern) =>
    new RegExp("^" + pattern.split("*").map((part) => form(part).replace(/[^\w/]/g, "\\$&")).join(".*") + "$", "s").test(text),
  );

/** Reports whether something may show on a page's path. */
export function pathAllowed(path: string, { in: within = [], out = [] }: { in?: string[]; out?: string[] } = {}): boolean {
  path = canonical(path);
  return !like(path, out, canonical) && (!within.length || like(path, within, canonical));
}
