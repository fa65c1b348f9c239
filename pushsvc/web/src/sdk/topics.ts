// The visitor's choice of topics. The server's row is what counts; this is what the page
// shows of it.

import type { Config, Topic } from "../shared/wire";
import { local } from "./storage";

/** The choice if storage is blocked. It is a property of the page, because join.js has its
 * own copy of this module. */
const choice: unique symbol = Symbol.for("webpush.topics") as never;
const page = globalThis as { [choice]?: string[] };

/** The ids that were chosen in this browser; undefined if none is remembered. */
export function chosen(): string[] | undefined {
  try {
    const ids: unknown = JSON.parse(local.get("topics"));
    if (Array.isArray(ids)) return ids;
  } catch {
    // There is no stored choice.
  }
  return page[choice];
}

/** Remembers a choice; without ids, forgets it. */
export function choose(ids?: string[]): void {
  page[choice] = ids;
  if (ids) local.set("topics", JSON.stringify(ids));
  else local.remove("topics");
}

/** The site's topics; checked: the visitor chose it, or it is a default and there is no
 * choice. */
export function topicsOf({ prompt }: Config): Topic[] | undefined {
  const ids = chosen();
  return prompt?.topics?.map((topic) => (ids ? { ...topic, checked: ids.includes(topic.id) } : topic));
}

/** The ids of the checked topics; undefined if the site has no topics. */
export function checkedOf(config: Config): string[] | undefined {
  return topicsOf(config)
    ?.filter((topic) => topic.checked)
    .map((topic) => topic.id);
}
