// onsite.js: shows pop-ups at their time. The SDK loads it if one could apply.

import type { NotificationDetails } from "../sdk/api";
import type { SDK } from "../sdk/sdk";
import type { PageFacts, PopupRule } from "../shared/onsite";
import { Runner } from "./runner";

let runner: Runner | undefined;

export function visit(sdk: SDK, page: PageFacts, candidates: PopupRule[]): void {
  void (runner ??= new Runner(sdk)).visit(page, candidates);
}

export function raise(act: "viewed" | "clicked", details?: NotificationDetails): void {
  runner?.raise(act, details);
}
