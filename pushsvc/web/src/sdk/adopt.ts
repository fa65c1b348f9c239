import type { Config } from "../shared/wire";
import { load } from "./lazy";
import { local } from "./storage";

/** Names in localStorage by which another provider's page script is known, and the
 * module that reads what it left. */
const marks: Record<string, ["compat" | "onesignal", ...string[]]> = {
  clevertap: ["compat", "WZRK_META", "WZRK_G"],
  onesignal: ["onesignal", "os_pageViews", "isOptedOut", "onesignal-notification-prompt"],
};

/** Resolves when what another provider knew of this visitor is ours: looked for
 * once, and only where the site comes from there. Never rejects. */
export async function adopt(config: Config, compat: Promise<unknown> | undefined): Promise<void> {
  try {
    await compat;
    for (const from of local.get("adopted") ? [] : config.migrate ?? []) {
      const [module, ...names] = marks[from] ?? [];
      // Without their storage there is nothing to fetch a module for.
      if (module && names.some((name) => localStorage.getItem(name))) await (await load<Adopter>(config, module)).adoptStorage();
      if (module) local.set("adopted", "1");
    }
  } catch {
    // The next page tries again.
  }
}

/** A module that reads once what a provider left in the visitor's storage. */
interface Adopter {
  adoptStorage(): void | Promise<void>;
}
