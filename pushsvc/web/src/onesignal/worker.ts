// What the worker posts about notifications (src/sw/tell.ts).

import { findWorker } from "../sdk/worker";
import type { Config } from "../shared/wire";
import type { WorkerMessage } from "../shared/worker_message";

/** Listens for the worker's messages, and asks the worker for a click that has opened this
 * page. */
export function listen(config: Config, received: (message: WorkerMessage) => void): void {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return;
  serviceWorker.addEventListener("message", ({ data }: MessageEvent<WorkerMessage | undefined>) => {
    if (data?.webpush && data.id) received(data);
  });
  serviceWorker.startMessages?.();
  findWorker(config).then(
    (registration) => registration?.active?.postMessage({ webpush: "clicks" }),
    () => {},
  );
}
