// Tags, which become values of the visitor's profile. Pure functions.

/** Tags as they are kept: texts. What is empty takes a tag away, as at OneSignal,
 * and is null here; what is no text, number or boolean is left out and named. */
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

/** Tags after a change. */
export function changedTags(before: Record<string, string>, change: Record<string, string | null>): Record<string, string> {
  const after = Object.entries({ ...before, ...change }).filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries(after);
}
