// The worker that a page wants by serviceWorkerPath: the site's own, which the server
// puts ours behind when browsers fetch it.

import { like } from "../shared/path";
import type { Config } from "../shared/wire";
import { local } from "../sdk/storage";

/** Has the subscription belong to the worker at this path, on this page and on later
 * ones: in the worker's own folder, as CleverTap registers it. What was configured is
 * kept for a path where there is none. An address that is not this origin's, or the
 * worker that CleverTap's users have, which is ours by now, changes nothing. */
export function useWorker(config: Config, path: string): void {
  let url: URL;
  try {
    url = new URL(path, location.origin);
  } catch {
    return;
  }
  const worker = url.pathname + url.search;
  if (url.origin !== location.origin || worker === config.worker || like(url.pathname, config.vendorWorkers ?? [])) return;
  local.set("worker", worker);
  config.fallback ??= (({ worker, scope }) => ({ worker, scope }))(config);
  config.worker = worker;
  config.scope = url.pathname.slice(0, url.pathname.lastIndexOf("/") + 1);
}
