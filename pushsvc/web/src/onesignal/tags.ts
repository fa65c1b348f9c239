// Tags, which become values of the visitor's profile. Pure functions.

/** Returns the tags as texts. An empty value removes a tag, as at OneSignal, and is null
 * here. refused has the names whose value is not a text, number or boolean. */
export function cleanTags(given: unknown): { tags: Record<string, string | null>; refused: string[] } {
  const tags: Record<string, string | null> = {};
  const refused: string[] = [];
  if (typeof given !== "object" || given === null || Array.isArray(given)) return { tags, refused: [String(given)] };
  for (const [name, value] of Object.entries(given)) {
    if (value == null || value === "") tags[name] = null;
    else if (/^(string|number|boolean|bigint)$/.test(typeof value)) tags[name] = String(value);
    else refused.push(name);
  }
  return { tags, refused };
}

/** Returns the tags after a change. */
export function changedTags(before: Record<string, string>, change: Record<string, string | null>): Record<string, string> {
  const after = Object.entries({ ...before, ...change }).filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries(after);
}
