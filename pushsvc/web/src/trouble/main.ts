// trouble.js: what follows when a browser cannot be subscribed: the server counts it,
// and the visitor who wanted it hears of it. Rare, so that it is a file of its own,
// with its words in all languages.

import { faceOptions } from "../sdk/face";
import type { Fault } from "../sdk/failure";
import { load } from "../sdk/lazy";
import type { SDK } from "../sdk/sdk";
import { local, session } from "../sdk/storage";
import { isPrivate } from "../sdk/visit";
import type { UI } from "../shared/face";
import { ownURL } from "../shared/address";
import { chooseLanguage } from "../ui/language";
import { words } from "./words";

/** Tells the server of a fault, and the visitor if it is in the way of what he
 * wanted. */
export async function tell(sdk: SDK, error: Fault, wanted?: boolean): Promise<void> {
  // 410: the site has given push up.
  if (typeof error.code !== "string" || error.status === 410) return;
  report(sdk, error.code);
  // He has the browser's own question before him.
  if (wanted && error.code !== "unanswered") await say(sdk);
}

/** Codes that this page has reported, where storage is blocked. */
const reported = new Set<string>();

/** Has the server count it: each code once in a tab session, and nothing of who does
 * not want to be known. */
function report({ config }: SDK, code: string): void {
  const before = session.get("trouble").split(" ");
  if (isPrivate() || local.get("optout") || before.includes(code) || reported.has(code)) return;
  reported.add(code);
  session.set("trouble", [...before, code].join(" ").trim());
  const body = new Blob([JSON.stringify({ failure: code })], { type: "text/plain" });
  navigator.sendBeacon(ownURL(config.prefix + "/events"), body);
}

/** The word that is on display. */
let shown: { close(): void } | undefined;

async function say(sdk: SDK): Promise<void> {
  const { config } = sdk;
  const { show } = await load<UI>(config, "ui");
  const tags = [document.documentElement.lang || navigator.language, ...navigator.languages];
  const body = words[chooseLanguage(tags, Object.keys(words))];
  shown?.close();
  const face = (shown = show(faceOptions(config, "failed", { body }, () => {})));
  // It has worked after all.
  const stop = sdk.on("subscribed", () => {
    face?.close();
    stop();
  });
}
