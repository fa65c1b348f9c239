// What the visitor has chosen to hear of. The server's row is what counts; here
// is what the page shows of it.

import type { Config, Topic } from "../shared/wire";
import { local } from "./storage";

/** Where storage is blocked. On the page, because join.js has a copy of this
 * module. */
const choice: unique symbol = Symbol.for("webpush.topics") as never;
const page = globalThis as { [choice]?: string[] };

/** The ids that were chosen in this browser; undefined where nobody remembers. */
export function chosen(): string[] | undefined {
  try {
    const ids: unknown = JSON.parse(local.get("topics"));
    if (Array.isArray(ids)) return ids;
  } catch {
    // Nothing there.
  }
  return page[choice];
}

/** Remembers a choice; without one, forgets it. */
export function choose(ids?: string[]): void {
  page[choice] = ids;
  if (ids) local.set("topics", JSON.stringify(ids));
  else local.remove("topics");
}

/** The site's topics, each checked if it was chosen, or by the site's default. */
export function topicsOf({ prompt }: Config): Topic[] | undefined {
  const ids = chosen();
  return prompt?.topics?.map((topic) => (ids ? { ...topic, checked: ids.includes(topic.id) } : topic));
}

/** The ids of those that are checked; undefined where the site has no topics. */
export function checkedOf(config: Config): string[] | undefined {
  return topicsOf(config)
    ?.filter((topic) => topic.checked)
    .map((topic) => topic.id);
}
