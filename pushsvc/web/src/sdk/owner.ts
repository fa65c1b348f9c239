// Whom the inbox belongs to: messages for one person are not for the next.

import type { Entry } from "../shared/entries";
import { checksum } from "./checksum";
import { local } from "./storage";

/** Removes the inbox when the visitor logs out or opts out, or when another person logs in.
 * Messages of an unknown visitor go to the person who logs in, as everything else does. */
export function clearInboxOfOthers(entry: Entry): void {
  const before = local.get("owner").split(" ").filter(Boolean);
  let marks: string[] = [];
  if (entry.type === "login") {
    marks = entry.identities.map(({ kind, value }) => checksum(kind + ":" + value).toString(36));
    if (!before.length || marks.some((mark) => before.includes(mark))) {
      return local.set("owner", [...new Set([...before, ...marks])].slice(-8).join(" "));
    }
  } else if (entry.type !== "logout" && !(entry.type === "optout" && entry.value)) return;
  local.remove("inbox");
  document.getElementById("webpush-inbox")?.remove();
  local.set("owner", marks.join(" "));
}
