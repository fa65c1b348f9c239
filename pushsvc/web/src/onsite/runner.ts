import type { NotificationDetails } from "../sdk/api";
import { load } from "../sdk/lazy";
import { visible } from "../sdk/page";
import { shownNow } from "../sdk/place";
import type { SDK } from "../sdk/sdk";
import { local } from "../sdk/storage";
import type * as Wait from "../sdk/wait";
import type { WireControl } from "../shared/popup_requests";
import type { PageFacts, PopupRule } from "../shared/onsite";
import type { Action, PopupEvent, PopupFace, PopupHost, Popups, WirePopup } from "../shared/popup";
import { perform } from "./action";
import { ask } from "./ask";
import { byImportance, choose, isFree } from "./choose";
import { clickMessage, message, messageId } from "./message";
import { whenSeen } from "./visibility";
import { due, type When } from "./when";

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A pop-up that the visitor sees or has seen. */
interface Display {
  popup: WirePopup;
  /** An operator's preview: nothing is reported. */
  preview: boolean;
  seen: boolean;
  counted: boolean;
  /** The time of the last click, in ms. */
  clicked: number;
  face?: PopupFace;
}

type WaitModule = typeof Wait;

type CleverTap = { dismissSpamControl?: boolean };

/** Adds one to the counts of shownNow. */
function countShown(...names: string[]): void {
  const shown = shownNow();
  for (const name of names) shown[name] = (shown[name] ?? 0) + 1;
  local.set("shown", JSON.stringify(shown));
}

/** The pop-ups of one page. */
export class Runner {
  private route = new AbortController();
  private path: string | undefined;
  private open: Display | undefined;
  private bellShown = false;
  private waitModule: WaitModule | undefined;
  /** What notificationCallback received, by CleverTap's name; and the last one. */
  private readonly handedToPage = new Map<string, Display>();
  private last: Display | undefined;

  constructor(private readonly sdk: SDK) {}

  /** Decides about pop-ups on a page or on a route of it. */
  async visit(page: PageFacts, list: PopupRule[]): Promise<void> {
    this.route.abort();
    const { signal } = (this.route = new AbortController());
    if (this.path !== undefined && this.path !== location.pathname) this.open?.face?.close();
    this.path = location.pathname;
    this.showBell();
    const token = new URLSearchParams(location.search).get("webpush_preview") || undefined;
    if (!list.length && !token) return;
    try {
      const [answer, waitModule] = await Promise.all([
        ask(this.sdk, page, list, token, signal),
        load<WaitModule>(this.sdk.config, "wait"),
      ]);
      this.waitModule = waitModule;
      const preview = !!answer.preview;
      const shows = answer.popups.map((popup) => ({ popup, then: () => this.show(popup, preview, signal) }));
      const controls = (answer.controls ?? []).map((popup) => ({ popup, then: () => this.countControl(popup) }));
      for (const { popup, then } of byImportance([...shows, ...controls])) void this.wait(popup.when as When, preview, signal, then);
    } catch (error) {
      // The browser is offline, or the visitor is on the next route. Pop-ups are not worth
      // an error.
      if (!signal.aborted) console.debug("webpush:", error);
    }
  }

  /** Runs then at the pop-up's time, unless the visitor has left the route by then. */
  private async wait(when: When = {}, preview: boolean, signal: AbortSignal, then: () => unknown): Promise<void> {
    if (!preview) await due(when, this.waitModule!.triggered, this.sdk.events, signal);
    // Never over a question, ours or the browser's, or over a consent banner.
    while ((await visible(), !signal.aborted && (this.sdk.question.open() || this.waitModule!.bannerShown(this.sdk.config.prompt?.consent)))) await sleep(500);
    if (!signal.aborted) then();
  }

  /** Counts a pop-up of the control group in place of showing it. */
  private countControl(control: WireControl): void {
    if (this.choice({ ...control, kind: "box" }) !== "drop") {
      // It counts for its own caps, so that both groups count equally often, and not for
      // the visit's limit.
      countShown(control.id);
      this.sdk.record({ type: "popup", act: "viewed", popup: control.id, variant: control.variant, token: control.token });
    }
  }

  private choice(popup: Pick<WirePopup, "id" | "kind" | "priority" | "caps">): ReturnType<typeof choose> {
    const { config } = this.sdk;
    const { clevertap } = window as { clevertap?: CleverTap };
    return choose(popup, {
      open: this.open && { priority: this.open.popup.priority ?? 0, seen: this.open.seen },
      shown: shownNow(),
      perSession: config.popups?.perSession,
      dismissSpamControl: config.compat && clevertap?.dismissSpamControl,
      dismissed: local.get("dnd").split(" "),
    });
  }

  private async show(popup: WirePopup, preview: boolean, signal: AbortSignal): Promise<void> {
    const choice = preview ? "replace" : this.choice(popup);
    if (choice === "drop") return;
    if (choice === "replace") this.open?.face?.close();
    const display: Display = { popup, preview, seen: false, counted: false, clicked: 0 };
    if (this.sdk.notificationCallback && !isFree(popup.kind)) return this.handToPage(display, this.sdk.notificationCallback);
    if (popup.kind === "custom") return;
    const free = isFree(popup.kind);
    // Nothing else may show while this one loads.
    if (!free) this.open = display;
    const gone = new AbortController();
    const closed = () => {
      gone.abort();
      if (this.open === display) this.open = undefined;
    };
    try {
      const { show } = await load<Popups>(this.sdk.config, "popup");
      const current = !signal.aborted && (free || this.open === display);
      const face = current ? show({ ...this.host(preview), popup, closed }) : undefined;
      if (!face) return closed();
      display.face = face;
      this.report(display, { act: "shown" });
      // The inbox reports its messages one by one.
      if (!free) whenSeen(face.element, () => this.viewed(display), gone.signal);
    } catch (error) {
      closed();
      console.warn("webpush:", error);
    }
  }

  /** Shows the bell if earlier pages left messages in it. */
  private showBell(): void {
    if (this.bellShown || !local.get("inbox")) return;
    this.bellShown = true;
    load<Popups>(this.sdk.config, "popup").then(({ inbox }) => inbox(this.host(false)), (error) => console.warn("webpush:", error));
  }

  /** The host of the renderer: what it needs and what it calls. */
  private host(preview: boolean): PopupHost {
    const { name, site, icon, prefix, version, compat } = this.sdk.config;
    const displayOf = (popup: WirePopup): Display =>
      this.open?.popup === popup ? this.open : { popup, preview, seen: false, counted: true, clicked: 0 };
    return {
      site: { name: name || site, icon },
      language: document.documentElement.lang || navigator.language,
      prefix,
      version,
      api: compat ? (window as { clevertap?: object }).clevertap : undefined,
      act: (event, popup) => this.act(event, displayOf(popup)),
      run: (action, kv) => this.run(action, kv),
      call: (name, args, popup) => this.call(name, args, displayOf(popup)),
    };
  }

  private act(event: PopupEvent, display: Display): void {
    const { popup, preview } = display;
    if (event.act === "viewed") return this.viewed(display);
    if (event.act !== "error") this.count(display);
    if (event.act === "clicked") {
      display.clicked = Date.now();
      this.sdk.popupCallback?.(clickMessage(popup, event.props, new Date()));
    }
    if (event.act === "closed" && !preview) local.set("dnd", [...new Set([...local.get("dnd").split(" ").slice(-99), popup.id])].join(" ").trim());
    this.report(display, event);
    // The answer to a question is an event of the site.
    if (event.act === "submitted" && event.element && !preview) this.sdk.event(event.element, { answer: event.value, popup: popup.id });
  }

  private viewed(display: Display): void {
    if (display.seen) return;
    display.seen = true;
    this.count(display);
    this.report(display, { act: "viewed" });
  }

  /** Counts a pop-up that the visitor saw, among those that a visit may have. */
  private count(display: Display): void {
    const { popup, preview } = display;
    if (display.counted || preview) return;
    display.counted = true;
    countShown(...(isFree(popup.kind) ? [popup.id] : [popup.id, ""]));
  }

  private report({ popup, preview }: Display, { act, element, value }: Omit<PopupEvent, "act"> & { act: PopupEvent["act"] | "shown" }): void {
    const { id, variant = "", token } = popup;
    if (!preview && act !== "shown") this.sdk.record({ type: "popup", act, popup: id, variant, token, element });
    this.sdk.emit("popup", { act, id, variant, element, value });
  }

  private run(action: Action, kv: Record<string, string>): void {
    perform(action, kv, this.sdk);
  }

  /** Gives a pop-up to the page, which renders it and raises what happens to it. */
  private handToPage(display: Display, callback: NonNullable<SDK["notificationCallback"]>): void {
    const { popup } = display;
    this.handedToPage.set(messageId(popup, new Date()), (this.last = display));
    this.sdk.emit("popup", { act: "shown", id: popup.id, variant: popup.variant });
    try {
      callback(message(popup, new Date()));
    } catch (error) {
      // The site's own error handling receives the site's own mistake.
      setTimeout(() => {
        throw error;
      });
    }
  }

  /** Acts on what the page raises about a pop-up that it renders: the one with this id, or
   * the last one. */
  raise(act: "viewed" | "clicked", details?: NotificationDetails): void {
    const display = details ? this.handedToPage.get(String(details.msgId)) : this.last;
    if (display) this.raised(act, display);
  }

  private raised(act: "viewed" | "clicked", display: Display): void {
    if (act === "viewed") return this.viewed(display);
    // The click tracking of custom HTML may have reported it already.
    if (Date.now() - display.clicked > 500) this.act({ act }, display);
    const { click, content } = display.popup;
    if (click) this.run(click, content.kv ?? {});
  }

  /** Runs a call of HTML in the sandbox, one of frameCalls. */
  private call(name: string, args: unknown[], display: Display): void {
    const [family, method] = name.split(".") as [string, string | undefined];
    if (!method) return this.raised(name.endsWith("Viewed") ? "viewed" : "clicked", display);
    const api = (window as unknown as Record<string, Record<string, Record<string, (...args: unknown[]) => void>> | undefined>).clevertap;
    if (this.sdk.config.compat && api) api[family]?.[method]?.(...args);
    else if (family === "event") this.sdk.event(String(args[0]), args[1] as Record<string, unknown>);
    else if (family === "profile") this.sdk.profile((args[0] as { Site?: Record<string, unknown> })?.Site ?? {});
    else void this.sdk.prompt();
  }
}
