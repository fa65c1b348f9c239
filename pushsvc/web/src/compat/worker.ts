// serviceWorkerPath: the page wants the site's own worker, to which the server appends
// ours.

import { like } from "../shared/path";
import type { Config } from "../shared/wire";
import { local } from "../sdk/storage";

/** Makes the subscription belong to the worker at this path, on this page and on later
 * ones. Its scope is its own folder, as CleverTap registers it. The configured worker
 * remains the fallback if there is no script at the path. Ignores an address of another
 * origin, and CleverTap's worker, which is ours by now. */
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
