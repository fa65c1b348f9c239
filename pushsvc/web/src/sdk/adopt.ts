import type { Config } from "../shared/wire";
import { load } from "./lazy";
import { local } from "./storage";

/** By provider: the module that reads what its page script left, and the names in
 * localStorage that show that it left something. */
const marks: Record<string, ["compat" | "onesignal", ...string[]]> = {
  clevertap: ["compat", "WZRK_META", "WZRK_G"],
  onesignal: ["onesignal", "os_pageViews", "isOptedOut", "onesignal-notification-prompt"],
};

/** Takes over what another provider knew of this visitor. Runs once in a browser, and only
 * for a provider that the site comes from. Never rejects. */
export async function adopt(config: Config, compat: Promise<unknown> | undefined): Promise<void> {
  try {
    await compat;
    for (const from of local.get("adopted") ? [] : config.migrate ?? []) {
      const [module, ...names] = marks[from] ?? [];
      // Without their storage there is no need to fetch a module.
      if (!module) continue;
      if (names.some((name) => localStorage.getItem(name))) await (await load<Adopter>(config, module)).adoptStorage();
      local.set("adopted", "1");
    }
  } catch {
    // The next page tries again.
  }
}

/** A module that reads what a provider left in the visitor's storage. */
interface Adopter {
  adoptStorage(): void | Promise<void>;
}
