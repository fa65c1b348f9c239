import type { CallbackMessage, PopupCallbackMessage, WirePopup } from "../shared/popup";
import type { When } from "./when";

/** A date as in campaigns' ids: yyyymmdd. */
const day = (now: Date): string => now.toISOString().slice(0, 10).replace(/-/g, "");

/** CleverTap's name of a pop-up: its id and the day. */
export function messageId({ id, legacy }: WirePopup, now: Date): string {
  return legacy?.msgId || `${id}_${day(now)}`;
}

/** A pop-up in the form of notificationCallback. Members without a value are missing. */
export function message(popup: WirePopup, now: Date): CallbackMessage {
  const { content } = popup;
  const { seconds, scroll, idle, exit } = (popup.when ?? {}) as When;
  const trigger = withoutEmpty({ inactive: idle, scroll, isExitIntent: exit, deliveryDelayed: seconds });
  const { title, body: description, image: imageUrl, html } = content;
  return withoutEmpty({
    msgContent: withoutEmpty({
      ...(html && { type: 1 }),
      html,
      title,
      description,
      imageUrl,
      ctaText: content.buttons?.[0]?.text,
    }),
    msgId: messageId(popup, now),
    pivotId: popup.legacy?.pivotId || popup.variant,
    kv: content.kv,
    deliveryTrigger: Object.keys(trigger).length ? trigger : undefined,
  });
}

/** The argument of popupCallback for a click. */
export function clickMessage(popup: WirePopup, props: Record<string, string> = {}, now: Date): PopupCallbackMessage {
  return withoutEmpty({
    msgId: messageId(popup, now),
    pivotId: popup.legacy?.pivotId || popup.variant,
    kv: popup.content.kv,
    msgCTkv: Object.entries(props).map(([name, value]) => ({ [name]: value })),
  });
}

const withoutEmpty = <T extends object>(members: T): T =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== "")) as T;
