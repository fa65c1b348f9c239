// Whose the browser is at present: what is kept in it for one person is not for the
// next.

import type { Entry } from "../shared/entries";
import { local } from "./storage";

/** Tells one identity from another without keeping it. */
function mark(text: string): string {
  let sum = 0;
  for (const char of text) sum = (Math.imul(sum, 31) + char.codePointAt(0)!) | 0;
  return sum.toString(36);
}

/** Messages of the inbox were written for who was logged in: they go when somebody
 * logs out, opts out, or somebody else logs in. An unknown visitor's become theirs
 * who logs in, as all else does. */
export function own(entry: Entry): void {
  const before = local.get("owner").split(" ").filter(Boolean);
  let marks: string[] = [];
  if (entry.type === "login") {
    marks = entry.identities.map(({ kind, value }) => mark(kind + ":" + value));
    if (!before.length || marks.some((one) => before.includes(one))) {
      local.set("owner", [...new Set([...before, ...marks])].slice(-8).join(" "));
      return;
    }
  } else if (entry.type !== "logout" && !(entry.type === "optout" && entry.value)) return;
  local.remove("inbox");
  document.getElementById("webpush-inbox")?.remove();
  local.set("owner", marks.join(" "));
}
