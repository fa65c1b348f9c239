// CleverTap's names around pop-ups, for the page runner and for clevertap.ts.

import type { CallbackMessage, PopupCallbackMessage, WirePopup } from "../shared/popup";

/** The triggers by their names in `when` and in CleverTap's `deliveryTrigger`. */
const triggers = { idle: "inactive", scroll: "scroll", exit: "isExitIntent", seconds: "deliveryDelayed" } as const;

/** The message that `clevertap.notificationCallback` gets instead of our showing
 * the pop-up (features.md a.7). */
export function callbackMessage(popup: WirePopup): CallbackMessage {
  const { title, body, image, html, buttons, kv } = popup.content;
  const msgContent: CallbackMessage["msgContent"] = html
    ? { type: 1, html }
    : { title: title ?? "", description: body ?? "", ...(image && { imageUrl: image }), ...(buttons?.[0] && { ctaText: buttons[0].text }) };
  const deliveryTrigger: Record<string, unknown> = {};
  for (const [name, theirs] of Object.entries(triggers)) {
    if (popup.when?.[name]) deliveryTrigger[theirs] = popup.when[name];
  }
  return {
    msgContent,
    msgId: messageId(popup),
    ...(pivotId(popup) && { pivotId: pivotId(popup) }),
    ...(kv && { kv }),
    ...(Object.keys(deliveryTrigger).length && { deliveryTrigger }),
  };
}

/** CleverTap's id of a pop-up; ours where it has none. */
export function messageId({ legacy, id }: WirePopup): string {
  return legacy?.msgId ?? id;
}

function pivotId({ legacy, variant }: WirePopup): string | undefined {
  return legacy?.pivotId ?? variant;
}

/** Whether what the page raises is about the pop-up: calls of the old kind have
 * no argument and mean the one that the callback got last. */
export function isAbout(popup: WirePopup, raised: unknown): boolean {
  const id = (raised as Partial<PopupCallbackMessage> | undefined)?.msgId;
  return id === undefined || id === messageId(popup) || id === popup.id;
}

/** `$WZRK_WR.closeIframe(campaignId, divId)`: takes the wrapper away; its pop-up
 * notices. Without one, or with an id that nothing has, all that are open go. */
export function closeIframe(_campaign?: unknown, id?: unknown): void {
  const wrapper = typeof id === "string" ? document.getElementById(id) : null;
  if (wrapper) wrapper.remove();
  else for (const host of document.querySelectorAll(".webpush-popup:not(#webpush-inbox)")) host.remove();
}
