import type { Config } from "../shared/wire";
import { load } from "./lazy";
import { local } from "./storage";
import type { Compat } from "./stub";

/** Resolves when what CleverTap knew of this visitor is ours: looked for once, and
 * only where the site comes from there. Never rejects. */
export async function adopt(config: Config, compat: Promise<void> | undefined): Promise<void> {
  try {
    await compat;
    if ((!compat && !config.migrate?.includes("clevertap")) || local.get("adopted")) return;
    // Without their storage there is nothing to fetch a module for.
    if (localStorage.getItem("WZRK_META") || localStorage.getItem("WZRK_G")) (await load<Compat>(config, "compat")).adoptStorage();
    local.set("adopted", "1");
  } catch {
    // The next page tries again.
  }
}
