import { ownURL } from "../shared/address";
import type { Entry } from "../shared/entries";
import type { Answer, FaceKind, UI } from "../shared/face";
import type { PageFacts, PopupRule } from "../shared/onsite";
import type { Refused } from "../shared/post";
import type { PopupCallbackMessage } from "../shared/popup";
import type { Config } from "../shared/wire";
import type { EventName, Login, NotificationDetails, Outcome, Privacy, PromptOptions, State, WebPush } from "./api";
import { pathAllowed } from "../shared/path";
import { afterOf, bellHelps, delayUntilAsk, nextStep, type Visitor } from "./ask";
import { isInstallable, isRobot } from "./device";
import { faceOptions } from "./face";
import type { Fault } from "./failure";
import type * as Join from "./join";
import { load } from "./lazy";
import { trace } from "./log";
import { own } from "./owner";
import { countView, idle, onRoute, sessionStart, visible } from "./page";
import { candidates, pageFacts } from "./place";
import { definePreferences } from "./preferences";
import { closed, Queue, waiting } from "./queue";
import { local, session } from "./storage";
import { outByVisitor } from "./storage_keys";
import { currentSubscription } from "./subscription";
import { checkedOf, choose } from "./topics";
import { Events } from "./triggers";
import { countVisit, isPrivate } from "./visit";
import type * as Wait from "./wait";

type Listener = (detail?: unknown) => void;
type Answered = (answer: Answer, topics?: string[]) => Outcome | Promise<Outcome>;

/** How long the browser's own question may be open before the page goes on, in ms.
 * Browsers have ones that are easily overlooked. */
const questionLimit = 60_000;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** track.js as a module. */
export interface Track {
  start(sdk: SDK): Sender;
}

/** Sends what waits. */
export interface Sender {
  wake(): void;
}

/** onsite.js as a module. */
export interface Onsite {
  /** Somebody sees the page, or another route of it. */
  visit(sdk: SDK, page: PageFacts, candidates: PopupRule[]): void;
  raise(act: "viewed" | "clicked", details?: NotificationDetails): void;
}

/** trouble.js as a module. */
export interface Trouble {
  /** Reports a fault to the server, and to the visitor if it prevents what they wanted. */
  tell(sdk: SDK, fault: Fault, wanted?: boolean): Promise<void>;
}

/** Push needs all of these. On iOS Notification may exist without PushManager;
 * frames get no say, because the question would seem to be the outer page's. */
const supported = (): boolean =>
  isSecureContext &&
  window.top === window &&
  "serviceWorker" in navigator &&
  "PushManager" in window &&
  "Notification" in window;

/** iOS in the browser: push comes with the home screen. */
const installable = (): boolean =>
  isSecureContext && window.top === window && !supported() && isInstallable(navigator.userAgent, navigator.maxTouchPoints);

/** One page's SDK. Nothing happens before start. */
export class SDK implements Omit<WebPush, "raiseNotificationViewed" | "raiseNotificationClicked"> {
  readonly version: string;
  /** What waits to be told to the server. */
  readonly queue = new Queue();
  /** Gets the pop-ups in place of our own rendering. */
  notificationCallback: WebPush["notificationCallback"];
  /** Gets what is clicked in them. */
  popupCallback?: (message: PopupCallbackMessage) => void;
  private readonly listeners: [EventName, Listener][] = [];
  readonly events = new Events();
  /** Whether the page had its first idle moment. */
  private rested = false;
  private optedOut = false;
  private sender: Promise<Sender> | undefined;
  private onsite: Promise<Onsite> | undefined;
  /** Why the worker could not be registered at the last try. */
  private failure: string | undefined;
  private requested: Promise<Outcome> | undefined;
  private trial: Promise<void> | undefined;
  private showing: Promise<Outcome> | undefined;
  /** Takes away the bell that is on display: who calls for the question gets it. */
  private fold: (() => void) | undefined;
  /** Ends the waiting for the prompt's time on the route before. */
  private waiting: AbortController | undefined;

  /** The last of what touches the subscription. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(readonly config: Config) {
    this.version = config.version;
    // The last moment of a page, when nothing but a beacon is left. What it took
    // stays in storage, and is sent again: nothing tells whether it arrived.
    addEventListener("pagehide", () => {
      const batch = !this.queue.held && this.queue.take();
      if (batch) navigator.sendBeacon(ownURL(config.prefix + "/events"), closed(batch.text));
    });
  }

  on(event: EventName, listener: Listener): () => void {
    const entry: [EventName, Listener] = [event, listener];
    this.listeners.push(entry);
    return () => {
      const index = this.listeners.indexOf(entry);
      if (index >= 0) this.listeners.splice(index, 1);
    };
  }

  event(name: string, props?: Record<string, unknown>): boolean {
    this.events.add((name = String(name)));
    return this.record({ type: "event", name, props });
  }

  profile(set: Record<string, unknown>): void {
    this.record({ type: "profile", set });
  }

  login({ signature, set, ...given }: Login): void {
    const identities = Object.entries(given)
      .filter(([, value]) => value)
      .map(([kind, value]) => ({ kind: kind as keyof typeof given, value: String(value) }));
    this.record({ type: "login", identities, set, signature });
  }

  privacy({ optOut }: Privacy): void {
    if (optOut == null) return;
    local.remove("optout");
    this.optedOut = false;
    if (optOut) {
      this.queue.take();
      for (const name of waiting()) local.remove(name);
    }
    this.record({ type: "optout", value: optOut });
    this.optedOut = optOut;
    if (optOut) local.set("optout", "1");
  }

  /** Keeps something for the server; false if it was not taken: the visitor is
   * not to be followed, or too much waits already. */
  record(entry: Entry): boolean {
    own(entry);
    if ((this.config.track === false && entry.type !== "popup") || isPrivate() || this.optedOut || local.get("optout")) return false;
    try {
      this.seen();
      const taken = this.queue.add(entry);
      trace("record", entry.type, taken);
      this.send();
      return taken;
    } catch (error) {
      // What the page gave is no JSON.
      this.emit("error", error);
      return false;
    }
  }

  /** Has track.js send what waits, if something does and the page is at rest. A
   * visit alone is told only where somebody may want to know; who the visitor was
   * to CleverTap, always. */
  send(): void {
    const { compat, popups, track, watched } = this.config;
    const landed = (compat || popups || watched) && local.get("visit").split(" ")[0] !== local.get("told");
    const adopted = local.get("ct") && !local.get("ctsent");
    const untold = track !== false && !this.optedOut && !local.get("optout") && (landed || adopted);
    if (!this.rested || isPrivate() || !(untold || this.queue.batch || waiting().length)) return;
    const fail = () => (this.sender = undefined);
    (this.sender ??= load<Track>(this.config, "track").then(({ start }) => start(this))).then((sender) => sender.wake(), fail);
  }

  /** Tells what became of a pop-up that the page has shown itself. */
  raise(act: "viewed" | "clicked", details?: NotificationDetails): void {
    this.onsite?.then(({ raise }) => raise(act, details));
  }

  debug(on: boolean): void {
    if (on) session.set("debug", "1");
    else session.remove("debug");
  }

  async state(): Promise<State> {
    const optedOut = !!local.get("out");
    if (!supported()) return { supported: false, permission: "denied", subscribed: false, optedOut };
    const subscribed = !!(await currentSubscription(this.config));
    return { supported: true, permission: Notification.permission, subscribed, optedOut };
  }

  async prompt(options: PromptOptions = {}): Promise<Outcome> {
    const hint = installable();
    if (!hint && !supported()) return "unsupported";
    if (this.requested) return this.requested;
    const visitor = await this.visitor();
    if (hint) visitor.permission = "default";
    if (options.force) Object.assign(visitor, { out: false, asked: 0 });
    const step = nextStep(visitor, options.askAgain ?? this.config.prompt?.askAgain);
    trace("prompt", step, visitor);
    if (step === "nothing" && visitor.permission === "denied") return options.help ? this.help() : "denied";
    if (step === "nothing") return "suppressed";
    if (step !== "ask") return this.join(false);
    return !hint && (await this.workerFails()) ? "failed" : this.ask(hint ? "ios" : options.kind, options);
  }

  /** Whether the worker cannot be registered here. Says so once per page. */
  private async workerFails(): Promise<boolean> {
    const before = this.failure;
    this.failure = undefined;
    try {
      // Two tries at once would be in each other's way.
      if (!this.showing) await (this.trial ??= this.joining().then(({ tryWorker }) => tryWorker(this.config)).finally(() => (this.trial = undefined)));
    } catch (error) {
      this.failure = String(error);
      if (this.failure !== before) this.fail(error);
    }
    return this.failure !== undefined;
  }

  async subscribe(): Promise<Outcome> {
    if (!supported()) return "unsupported";
    // Nothing may come before request(): only what is known already counts.
    return this.failure ? "failed" : this.request();
  }

  async unsubscribe(): Promise<void> {
    if (!supported()) return;
    local.set("out", outByVisitor);
    await this.disconnect();
    this.emit("unsubscribed");
  }

  async logout(): Promise<void> {
    this.record({ type: "logout" });
    local.remove("ct");
    if (!supported() || !(await currentSubscription(this.config))) return;
    await this.disconnect();
    choose();
    this.emit("unsubscribed");
    if (Notification.permission === "granted" && !local.get("out")) await this.join(false);
  }

  async topics(): Promise<string[]> {
    return checkedOf(this.config) ?? [];
  }

  async setTopics(ids: string[]): Promise<void> {
    choose([...ids].map(String));
    this.emit("topics", checkedOf(this.config));
    try {
      if ((await this.state()).subscribed) await this.inTurn(({ connect }) => connect(this.config, false));
    } catch (error) {
      this.fail(error);
      throw error;
    }
  }

  /** Does by itself what the visitor's state and prompt.after ask for. ready is
   * what has to be there first. */
  async start(ready?: Promise<void>): Promise<void> {
    await idle();
    await visible();
    await ready;
    this.rested = true;
    definePreferences(this.config, this);
    if (supported() && Notification.permission !== "granted" && local.get("sub")) await this.inTurn(({ revoke }) => revoke(this.config));
    onRoute(() => this.page());
    await this.page();
  }

  /** The visit goes on, or begins. */
  seen(): void {
    countVisit(Date.now());
  }

  /** A page or a route is seen. */
  page(): Promise<void> {
    this.seen();
    this.send();
    this.showPopups();
    return this.run(countView());
  }

  /** Decides once more when to ask on this page: the page has had its say. */
  again(): void {
    if (this.rested) void this.run(Number(local.get("views")));
  }

  /** Hands the page to onsite.js, if it is there or a pop-up could apply. */
  private showPopups(): void {
    const { popups } = this.config;
    const page = pageFacts(Date.now());
    const list = popups ? candidates(popups, page) : [];
    if (!this.onsite && !list.length && !local.get("inbox") && !location.search.includes("webpush_preview=")) return;
    const fail = () => (this.onsite = undefined);
    (this.onsite ??= load<Onsite>(this.config, "onsite")).then(({ visit }) => visit(this, page, list), fail);
  }

  /** Whether a question is open, our own or the browser's. The bell is none. */
  asking(): boolean {
    return !!((this.showing && !this.fold) || this.requested);
  }

  private async run(views: number): Promise<void> {
    if (!installable() && !supported()) return;
    this.waiting?.abort();
    const { signal } = (this.waiting = new AbortController());
    try {
      const { prompt = {} } = this.config;
      const visitor = await this.visitor();
      if (!supported()) visitor.permission = "default";
      const step = nextStep(visitor, prompt.askAgain);
      trace("visit", views, step, visitor);
      if (step === "sync" || step === "subscribe") await this.join(false);
      const helps = bellHelps(visitor, prompt.kind);
      if ((step !== "ask" && !helps) || !pathAllowed(location.pathname, prompt.paths)) return;
      const after = afterOf(this.config);
      const now = Date.now();
      const delay = delayUntilAsk(after, views, sessionStart(now), now);
      if (delay === Infinity) return;
      await sleep(delay);
      const { inTheWay, triggered } = await load<typeof Wait>(this.config, "wait");
      await triggered(after, this.events, signal);
      // What stands in the way may come and go at any time.
      while ((await visible(), !signal.aborted && inTheWay(prompt.consent))) await sleep(500);
      if (!signal.aborted && !this.fold) await (helps ? this.help("bell") : this.prompt());
    } catch (error) {
      this.fail(error);
    }
  }

  private async visitor(): Promise<Visitor> {
    const { permission, subscribed, optedOut } = await this.state();
    return {
      permission,
      subscribed,
      out: optedOut,
      robot: isRobot(navigator.userAgent),
      asked: Number(local.get("asked")),
      refusals: Number(local.get("refusals")),
      private: isPrivate(),
      now: Date.now(),
    };
  }

  private help(kind: FaceKind = "denied"): Promise<Outcome> {
    this.fold?.();
    return (this.showing ??= this.open(kind, {}, () => "denied"));
  }

  /** One prompt at a time: a second call gets the answer of the first. */
  private ask(kind: FaceKind | undefined, options: PromptOptions): Promise<Outcome> {
    const answered: Answered = (answer, topics) => this.answered(answer, kind === "ios", topics);
    if (this.fold) {
      this.fold();
      kind ??= "dialog";
    }
    return (this.showing ??= this.open(kind ?? this.config.prompt?.kind ?? "dialog", options, answered));
  }

  private open(kind: FaceKind, options: PromptOptions, answered: Answered): Promise<Outcome> {
    return this.openNow(kind, options, answered).catch((error): Outcome => {
      this.showing = undefined;
      this.fail(error);
      return "failed";
    });
  }

  private async openNow(kind: FaceKind, options: PromptOptions, answered: Answered): Promise<Outcome> {
    const { show } = await load<UI>(this.config, "ui");
    let asked: string;
    const permission = () => (supported() ? Notification.permission : "default");
    const before = permission();
    return new Promise((resolve) => {
      const done = (result: Outcome | Promise<Outcome>) => {
        document.removeEventListener("visibilitychange", recheck);
        removeEventListener("storage", recheck);
        this.showing = this.fold = undefined;
        face?.close();
        resolve(result);
      };
      // The question may have been answered in another tab.
      const recheck = () => {
        const answered = local.get("asked") !== asked;
        if (permission() === before && !answered) return;
        face?.close();
        done(answered ? "suppressed" : this.prompt());
      };
      const face = show(faceOptions(this.config, kind, options, (answer, topics) => done(answered(answer, topics))));
      if (!face) return done("unsupported");
      if (kind === "bell") this.fold = () => done("suppressed");
      document.addEventListener("visibilitychange", recheck);
      addEventListener("storage", recheck);
      if (kind !== "denied") this.emit("shown");
      asked = local.get("asked");
    });
  }

  /** Runs inside the visitor's click: nothing may come before request(). */
  private answered(answer: Answer, hint: boolean, topics?: string[]): Outcome | Promise<Outcome> {
    if (answer === "accept" && !hint) {
      const outcome = this.request();
      if (topics) choose(topics);
      this.emit("accepted");
      return outcome;
    }
    const result = answer === "reject" ? "rejected" : "dismissed";
    this.refused(result);
    return result;
  }

  /** The browser's question, and all that follows from a yes; one at a time,
   * because it may wait while the visitor goes on to other routes. */
  private request(): Promise<Outcome> {
    return (this.requested ??= this.requestNow().finally(() => (this.requested = undefined)));
  }

  private async requestNow(): Promise<Outcome> {
    const answer = Notification.requestPermission().catch(() => Notification.permission);
    const permission = await Promise.race([answer, sleep(questionLimit)]);
    if (permission) return this.permitted(permission);
    // The answer counts whenever it comes.
    answer.then((permission) => this.permitted(permission));
    this.fail(Object.assign(new Error("unanswered: the browser's question is not answered"), { code: "unanswered" }));
    return "dismissed";
  }

  private async permitted(permission: NotificationPermission): Promise<Outcome> {
    trace("permission", permission);
    if (permission === "granted") {
      local.remove("out");
      return this.join(true);
    }
    const result = permission === "denied" ? "denied" : "dismissed";
    this.refused(result);
    return result;
  }

  private refused(result: "rejected" | "dismissed" | "denied"): void {
    local.set("asked", String(Date.now()));
    local.set("refusals", String((Number(local.get("refusals")) || 0) + 1));
    this.emit(result);
  }

  /** Runs what touches the subscription after what does so already, here or in
   * another tab: a click may come while the visit is still being synchronised. */
  private inTurn<T>(action: (join: typeof Join) => Promise<T>): Promise<T> {
    const result = this.turn.then(() => this.joining()).then((join) => join.alone(() => action(join)));
    this.turn = result.catch(() => {});
    return result;
  }

  private joining(): Promise<typeof Join> {
    return load<typeof Join>(this.config, "join");
  }

  private disconnect(): Promise<void> {
    return this.inTurn(({ disconnect }) => disconnect(this.config, (error) => this.fail(error)));
  }

  /** Tells the page of a fault, then the server, and the visitor who waits for what
   * he wanted. */
  private fail(error: unknown, wanted?: boolean): void {
    this.emit("error", error);
    load<Trouble>(this.config, "trouble").then(({ tell }) => tell(this, error as Fault, wanted)).catch(() => {});
  }

  /** Subscribes; wanted is true after an act of the visitor's. */
  private async join(wanted: boolean): Promise<Outcome> {
    try {
      const told = await this.inTurn(({ connect }) => connect(this.config, wanted, () => void this.join(false)));
      if (told === null) return "suppressed";
      if (!told) return "subscribed";
    } catch (error) {
      this.fail(error, wanted);
      return "failed";
    }
    local.remove("asked");
    local.remove("refusals");
    this.emit("subscribed");
    return "subscribed";
  }

  emit(event: EventName, detail?: unknown): void {
    // A site that has given push up says 410 to scripts from before: no fault.
    if (event === "error" && (detail as Refused | undefined)?.status !== 410) console.warn("webpush:", detail);
    else trace(event, detail);
    for (const [name, listener] of [...this.listeners]) {
      if (name !== event) continue;
      try {
        listener(detail);
      } catch (error) {
        // The site's own mistake goes to the site's own error handling.
        setTimeout(() => {
          throw error;
        });
      }
    }
  }
}
