// Whose the browser is at present: what is kept in it for one person is not for the
// next.

import type { Entry } from "../shared/entries";
import { checksum } from "./checksum";
import { local } from "./storage";

/** Messages of the inbox were written for who was logged in: they go when somebody
 * logs out, opts out, or somebody else logs in. An unknown visitor's become theirs
 * who logs in, as all else does. */
export function clearInboxOfOthers(entry: Entry): void {
  const before = local.get("owner").split(" ").filter(Boolean);
  let marks: string[] = [];
  if (entry.type === "login") {
    marks = entry.identities.map(({ kind, value }) => checksum(kind + ":" + value).toString(36));
    if (!before.length || marks.some((mark) => before.includes(mark))) {
      local.set("owner", [...new Set([...before, ...marks])].slice(-8).join(" "));
      return;
    }
  } else if (entry.type !== "logout" && !(entry.type === "optout" && entry.value)) return;
  local.remove("inbox");
  document.getElementById("webpush-inbox")?.remove();
  local.set("owner", marks.join(" "));
}
