// The inbox: a bell with a count, which opens the list of messages. The browser stores
// them, so that the visitor can read a message on a later page.

import type { PopupHost, PopupOptions, WirePopup } from "../shared/popup";
import { local } from "../sdk/storage";
import { fill } from "../ui/language";
import { addStyles } from "./html";
import { inboxFunctions } from "./inbox_api";
import { type Message, readMessages, withMessage } from "./inbox_messages";
import type { Kit } from "./kit";
import type { Stage } from "./stage";
import type { Texts } from "./texts_english";

const load = () => readMessages(local.get("inbox"), Date.now());
const save = (list: Message[]) => local.set("inbox", JSON.stringify(list));

const bells = new WeakMap<ShadowRoot, Bell>();

/** Puts the bell into its root, or updates it. first: a message to add. */
export function fillInbox(kit: Kit, root: ShadowRoot, options: PopupHost, texts: Texts, first?: WirePopup): void {
  if (first) save(withMessage(load(), first, Date.now()));
  const list = load();
  // Storage is blocked: the message lasts as long as the page.
  if (first && !list.length) list.push({ popup: first, at: Date.now() });
  const bell = bells.get(root);
  if (bell) bell.fill(list);
  else if (list.length) bells.set(root, new Bell(kit, root, options, texts, list));
}

class Bell {
  private readonly opener: HTMLButtonElement;
  private readonly count: HTMLElement;
  private readonly place: string;
  private open: Stage | undefined;

  constructor(
    private readonly kit: Kit,
    private readonly root: ShadowRoot,
    private readonly options: PopupHost,
    private readonly texts: Texts,
    private list: Message[],
  ) {
    addStyles(root);
    const { theme, position } = list[0]!.popup;
    this.place = /^(bottom|top)-(left|right)$/.test(position ?? "") ? position! : "bottom-right";
    const opener = (this.opener = kit.button("bell", "", () => this.unfold()));
    this.count = kit.element("span", "count");
    opener.className = "face " + this.place;
    opener.dir = options.dir ?? getComputedStyle(document.documentElement).direction;
    opener.setAttribute("aria-haspopup", "dialog");
    opener.append(kit.sign("inbox"), this.count);
    root.append(opener);
    kit.dress(opener, theme);
    this.fill(list);
    if (options.api) Object.assign(options.api, inboxFunctions(this));
  }

  get messages(): Message[] {
    return this.list;
  }

  /** Stores other messages. Closes the open list, which shows the old ones, and removes the
   * bell if there are no messages. */
  change(list: Message[]): void {
    this.open?.close();
    save(list);
    this.fill(list);
    if (!list.length) this.root.host.remove();
  }

  toggle(): void {
    if (this.open) this.open.close();
    else if (this.list.length) this.unfold();
  }

  fill(list: Message[]): void {
    this.list = list;
    const unread = list.filter((message) => !message.read).length;
    this.count.textContent = String(unread);
    this.count.hidden = !unread;
    const label = this.texts.messages + (unread ? ", " + fill(this.texts.unread, { n: String(unread) }) : "");
    this.opener.setAttribute("aria-label", (this.opener.title = label));
  }

  private unfold(): void {
    const { kit, options, list, opener, place } = this;
    const root = this.open ? undefined : kit.newRoot("");
    if (!root) return;
    addStyles(root);
    const host: PopupOptions = {
      ...options,
      popup: list[0]!.popup,
      // Opening and closing the list is not an act on a message.
      act: () => {},
      closed: () => {
        this.open = undefined;
        opener.hidden = false;
        opener.focus({ preventScroll: true });
      },
    };
    const stage = (this.open = new kit.Stage(root, host, this.texts, "corner inbox " + place, false));
    this.fillList(stage);
    stage.open();
    // After the focus has moved to the list.
    opener.hidden = true;
    for (const message of list.filter((message) => !message.seen)) {
      message.seen = true;
      options.act({ act: "viewed" }, message.popup);
    }
    save(list);
  }

  private fillList(stage: Stage): void {
    const { kit, texts, list } = this;
    const { element } = kit;
    const head = element("div", "", "head");
    head.append(element("h2", "title", "", texts.messages));
    stage.element.setAttribute("aria-labelledby", "title");
    const rows = element("ul");
    const items = list.map((message) => this.item(stage, message));
    for (const item of items) {
      const row = element("li");
      row.append(item);
      rows.append(row);
    }
    const all = kit.button("all", texts.readAll, () => {
      for (const message of list) message.read = true;
      for (const item of items) item.classList.remove("unread");
      save(list);
      this.fill(list);
      all.hidden = true;
      stage.element.focus();
    });
    all.hidden = list.every((message) => message.read);
    head.append(all);
    stage.element.append(head, rows, stage.cross());
  }

  private item(stage: Stage, message: Message): HTMLElement {
    const { kit, options, texts } = this;
    const { element } = kit;
    const { popup } = message;
    const { title, body, image, imageAlt, buttons } = popup.content;
    // Its clicks belong to the message; an action that closes closes the list.
    const target = { options: { ...options, popup }, texts, root: stage.root, element: stage.element, finish: () => stage.close() };
    const node = kit.control(target, "", popup.click ?? buttons?.[0]?.action, "body");
    node.className = "item" + (message.read ? "" : " unread");
    node.addEventListener("click", () => {
      message.read = true;
      node.classList.remove("unread");
      save(this.list);
      this.fill(this.list);
    });
    const url = kit.webURL(image);
    if (url) {
      const picture = element("img");
      picture.alt = imageAlt ?? "";
      picture.addEventListener("error", () => picture.remove());
      picture.src = url;
      node.append(picture);
    }
    const text = element("span");
    if (title) text.append(element("b", "", "", title));
    const day = new Date(message.at).toLocaleDateString(options.language, { day: "numeric", month: "long" });
    text.append(body ?? "", element("small", "", "", day));
    node.append(text);
    return node;
  }
}
