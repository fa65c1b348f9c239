import type { Config } from "../shared/wire";
import { keepOut } from "./keepout";
import { load } from "./lazy";
import type { SDK } from "./sdk";

/** onesignal.js as a module. */
interface OneSignalModule {
  install(sdk: SDK): Promise<unknown>;
}

/** Puts window.OneSignal on the page. Until it loads, pages write to queues of their own,
 * which it then replays. */
export function installOneSignal(sdk: SDK, config: Config): Promise<unknown> {
  keepOut(config);
  return load<OneSignalModule>(config, "onesignal").then(({ install }) => install(sdk));
}
