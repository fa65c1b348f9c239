// trouble.js: what follows if a browser cannot be subscribed. The server counts it, and a
// visitor who wanted it sees a message. It is rare, so it is a file of its own, with its
// texts in all languages.

import { faceOptions } from "../sdk/face";
import type { Fault } from "../sdk/failure";
import { load } from "../sdk/lazy";
import type { SDK } from "../sdk/sdk";
import { local, session } from "../sdk/storage";
import { isPrivate } from "../sdk/visit";
import type { UI } from "../shared/face";
import { ownURL } from "../shared/address";
import { chooseLanguage } from "../ui/language";
import { texts } from "./texts";

/** Reports a fault to the server, and to the visitor if it prevents what they wanted. */
export async function reportFault(sdk: SDK, error: Fault, wanted?: boolean): Promise<void> {
  // 410: the site has retired push.
  if (typeof error.code !== "string" || error.status === 410) return;
  countFailure(sdk, error.code);
  // The browser's own question is still open.
  if (wanted && error.code !== "unanswered") await showMessage(sdk);
}

/** Codes that this page has reported, if storage is blocked. */
const reported = new Set<string>();

/** Has the server count a code once in a tab session. It reports nothing of a visitor who
 * does not want to be followed. */
function countFailure({ config }: SDK, code: string): void {
  const before = session.get("trouble").split(" ");
  if (isPrivate() || local.get("optout") || before.includes(code) || reported.has(code)) return;
  reported.add(code);
  session.set("trouble", [...before, code].join(" ").trim());
  const body = new Blob([JSON.stringify({ failure: code })], { type: "text/plain" });
  navigator.sendBeacon(ownURL(config.prefix + "/events"), body);
}

/** The message on display. */
let shown: { close(): void } | undefined;

async function showMessage(sdk: SDK): Promise<void> {
  const { config } = sdk;
  const { show } = await load<UI>(config, "ui");
  const tags = [document.documentElement.lang || navigator.language, ...navigator.languages];
  const body = texts[chooseLanguage(tags, Object.keys(texts))];
  shown?.close();
  const face = (shown = show(faceOptions(config, "failed", { body }, () => {})));
  // Subscribing worked after all.
  const stop = sdk.on("subscribed", () => {
    face?.close();
    stop();
  });
}
