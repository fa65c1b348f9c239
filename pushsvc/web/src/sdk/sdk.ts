import { ownURL } from "../shared/address";
import type { Entry } from "../shared/entries";
import type { PageFacts, PopupRule } from "../shared/onsite";
import { pathAllowed } from "../shared/path";
import type { PopupCallbackMessage } from "../shared/popup";
import type { Refused } from "../shared/post";
import type { Config } from "../shared/wire";
import type { EventName, Login, NotificationDetails, Outcome, Privacy, PromptOptions, State, WebPush } from "./api";
import { afterOf, bellHelps, delayUntilAsk, nextStep, type Visitor } from "./ask";
import { isRobot } from "./device";
import type { Fault } from "./failure";
import type * as Join from "./join";
import { load } from "./lazy";
import { trace } from "./log";
import { clearInboxOfOthers } from "./owner";
import { countView, idle, onRoute, sessionStart, visible } from "./page";
import { candidates, pageFacts } from "./place";
import { definePreferences } from "./preferences";
import { newQuestion } from "./question";
import { batchBody, Queue, waitingBatches } from "./queue";
import { local, session } from "./storage";
import { outByVisitor } from "./storage_keys";
import { currentSubscription } from "./subscription";
import { installable, supported } from "./support";
import { checkedOf, choose } from "./topics";
import { Events } from "./triggers";
import { countVisit, isPrivate } from "./visit";
import type * as Wait from "./wait";

type Listener = (detail?: unknown) => void;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const loadJoin = (config: Config) => load<typeof Join>(config, "join");

/** track.js as a module. */
export interface Track {
  start(sdk: SDK): Sender;
}

/** Sends what waits in the queue. */
export interface Sender {
  wake(): void;
}

/** onsite.js as a module. */
export interface Onsite {
  /** The visitor sees the page, or another route of it. */
  visit(sdk: SDK, page: PageFacts, candidates: PopupRule[]): void;
  raise(act: "viewed" | "clicked", details?: NotificationDetails): void;
}

/** trouble.js as a module. */
export interface Trouble {
  /** Reports a fault to the server, and to the visitor if it prevents what they wanted. */
  reportFault(sdk: SDK, fault: Fault, wanted?: boolean): Promise<void>;
}

/** One page's SDK. It does nothing before start. */
export class SDK implements Omit<WebPush, "version" | "raiseNotificationViewed" | "raiseNotificationClicked"> {
  /** The entries that wait for the server. */
  readonly queue = new Queue();
  /** Receives the pop-ups, which the page then renders itself. */
  notificationCallback: WebPush["notificationCallback"];
  /** Receives the clicks in pop-ups. */
  popupCallback?: (message: PopupCallbackMessage) => void;
  readonly events = new Events();
  private readonly listeners = new Set<[EventName, Listener]>();
  /** The page had its first idle moment. */
  private started?: boolean;
  private optedOut?: boolean;
  private sender: Promise<Sender> | undefined;
  private onsite: Promise<Onsite> | undefined;
  /** Why the last attempt to register the worker failed. */
  private workerFailure: string | undefined;
  /** The attempt to register the worker that is under way. */
  private trial: Promise<void> | undefined;
  readonly question = newQuestion(this);
  /** Ends the wait for the prompt's time on the current route. */
  private route: AbortController | undefined;
  /** The last change of the subscription. */
  private lastChange: Promise<unknown> = Promise.resolve();

  constructor(readonly config: Config) {
    // At a page's last moment only a beacon is possible. The batch stays in storage and is
    // sent again, because the page cannot learn whether the beacon arrived.
    addEventListener("pagehide", () => {
      const batch = !this.queue.held && this.queue.take();
      if (batch) navigator.sendBeacon(ownURL(config.prefix + "/events"), batchBody(batch.text));
    });
  }

  on(event: EventName, listener: Listener): () => void {
    const entry: [EventName, Listener] = [event, listener];
    this.listeners.add(entry);
    return () => void this.listeners.delete(entry);
  }

  event(name: string, props?: Record<string, unknown>): boolean {
    this.events.add((name = String(name)));
    return this.record({ type: "event", name, props });
  }

  profile(set: Record<string, unknown>): void {
    this.record({ type: "profile", set });
  }

  login({ signature, set, ...names }: Login): void {
    const identities = Object.entries(names)
      .filter(([, value]) => value)
      .map(([kind, value]) => ({ kind: kind as keyof typeof names, value: String(value) }));
    this.record({ type: "login", identities, set, signature });
  }

  privacy({ optOut }: Privacy): void {
    if (optOut == null) return;
    this.optedOut = false;
    local.remove("optout");
    if (optOut) {
      this.queue.take();
      waitingBatches().forEach(local.remove);
    }
    this.record({ type: "optout", value: optOut });
    this.optedOut = optOut;
    if (optOut) local.set("optout", "1");
  }

  /** Keeps an entry for the server. Returns false if the visitor does not want to be
   * followed, or if too much waits already. */
  record(entry: Entry): boolean {
    clearInboxOfOthers(entry);
    if (!this.mayFollow()) return false;
    try {
      this.continueVisit();
      const taken = this.queue.add(entry);
      trace("record", entry.type, taken);
      this.send();
      return taken;
    } catch (error) {
      // The page passed something that JSON cannot express.
      this.emit("error", error);
      return false;
    }
  }

  private mayFollow(): boolean {
    return !isPrivate() && !this.optedOut && !local.get("optout");
  }

  /** Has track.js send what waits, if something waits and the page has started. A visit
   * alone is sent only where compat, pop-ups or the proxy need it. What another provider
   * knew of the visitor is always sent. */
  send(): void {
    const { compat, popups, watched } = this.config;
    const landed = (compat || popups || watched) && local.get("visit").split(" ")[0] !== local.get("told");
    const unsent = (landed || (local.get("ct") && !local.get("ctsent"))) && this.mayFollow();
    if (!this.started || isPrivate() || !(unsent || this.queue.batch || waitingBatches().length)) return;
    const fail = () => (this.sender = undefined);
    (this.sender ??= load<Track>(this.config, "track").then(({ start }) => start(this))).then((sender) => sender.wake(), fail);
  }

  /** Reports what happened to a pop-up that the page renders itself. */
  raise(act: "viewed" | "clicked", details?: NotificationDetails): void {
    this.onsite?.then(({ raise }) => raise(act, details));
  }

  debug(on: boolean): void {
    if (on) session.set("debug", "1");
    else session.remove("debug");
  }

  async state(): Promise<State> {
    const possible = supported();
    return {
      supported: possible,
      permission: possible ? Notification.permission : "denied",
      optedOut: !!local.get("out"),
      subscribed: possible && !!(await currentSubscription(this.config)),
    };
  }

  async prompt(options: PromptOptions = {}): Promise<Outcome> {
    const hint = installable();
    if (!hint && !supported()) return "unsupported";
    const requested = this.question.requested();
    if (requested) return requested;
    const visitor = await this.visitor();
    if (options.force) Object.assign(visitor, { out: false, asked: 0 });
    const step = nextStep(visitor, options.askAgain ?? this.config.prompt?.askAgain);
    trace("prompt", step, visitor);
    if (step === "nothing" && visitor.permission === "denied") return options.help ? this.question.help() : "denied";
    if (step === "nothing") return "suppressed";
    if (step !== "ask") return this.connect(false);
    return !hint && (await this.workerFails()) ? "failed" : this.question.ask(hint ? "ios" : options.kind, options);
  }

  /** Reports whether the worker cannot be registered here. Emits a new error once. */
  private async workerFails(): Promise<boolean> {
    const before = this.workerFailure;
    this.workerFailure = undefined;
    try {
      // Two attempts at once would disturb each other.
      if (!this.question.showing()) {
        await (this.trial ??= loadJoin(this.config).then(({ tryWorker }) => tryWorker(this.config)).finally(() => (this.trial = undefined)));
      }
    } catch (error) {
      this.workerFailure = String(error);
      if (this.workerFailure !== before) this.fail(error);
    }
    return this.workerFailure !== undefined;
  }

  async subscribe(): Promise<Outcome> {
    if (!supported()) return "unsupported";
    // No await may come before request(), so that only an earlier failure counts.
    return this.workerFailure ? "failed" : this.question.request();
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
    if (Notification.permission === "granted" && !local.get("out")) await this.connect(false);
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

  /** Does what the visitor's state and prompt.after ask for, without a call by the page.
   * ready resolves when the SDK may begin. */
  async start(ready?: Promise<void>): Promise<void> {
    await idle();
    await visible();
    await ready;
    this.started = true;
    definePreferences(this.config, this);
    if (supported() && Notification.permission !== "granted" && local.get("sub")) await this.inTurn(({ revoke }) => revoke(this.config));
    onRoute(() => this.pageSeen());
    await this.pageSeen();
  }

  /** Continues the visit, or begins one. */
  continueVisit(): void {
    countVisit(Date.now());
  }

  /** Counts a page or a route that the visitor sees, and decides what to show on it. */
  pageSeen(): Promise<void> {
    this.continueVisit();
    this.send();
    this.showPopups();
    return this.decide(countView());
  }

  /** Decides again when to ask on this page, after the page has changed the config. */
  decideAgain(): void {
    if (this.started) void this.decide(Number(local.get("views")));
  }

  /** Hands the page to onsite.js, if it is loaded or a pop-up could apply. */
  private showPopups(): void {
    const { popups } = this.config;
    const page = pageFacts(Date.now());
    const list = popups ? candidates(popups, page) : [];
    if (!this.onsite && !list.length && !local.get("inbox") && !location.search.includes("webpush_preview=")) return;
    (this.onsite ??= load<Onsite>(this.config, "onsite")).then(({ visit }) => visit(this, page, list), () => (this.onsite = undefined));
  }

  private async decide(views: number): Promise<void> {
    if (!installable() && !supported()) return;
    this.route?.abort();
    const { signal } = (this.route = new AbortController());
    try {
      const { prompt = {} } = this.config;
      const visitor = await this.visitor();
      const step = nextStep(visitor, prompt.askAgain);
      trace("visit", views, step, visitor);
      if (step === "sync" || step === "subscribe") await this.connect(false);
      const helps = bellHelps(visitor, prompt.kind);
      if ((step !== "ask" && !helps) || !pathAllowed(location.pathname, prompt.paths)) return;
      const after = afterOf(this.config);
      const now = Date.now();
      const delay = delayUntilAsk(after, views, sessionStart(now), now);
      if (delay === Infinity) return;
      await sleep(delay);
      const { inTheWay, triggered } = await load<typeof Wait>(this.config, "wait");
      await triggered(after, this.events, signal);
      // A consent banner may appear and go at any time.
      while ((await visible(), !signal.aborted && inTheWay(prompt.consent))) await sleep(500);
      if (!signal.aborted && !this.question.bell()) await (helps ? this.question.help("bell") : this.prompt());
    } catch (error) {
      this.fail(error);
    }
  }

  /** The facts of ask.ts. Where push needs the home screen first (iOS), the visitor has
   * not decided yet. */
  private async visitor(): Promise<Visitor> {
    const { permission, subscribed, optedOut } = await this.state();
    return {
      permission: supported() ? permission : "default",
      subscribed,
      out: optedOut,
      robot: isRobot(navigator.userAgent),
      asked: Number(local.get("asked")),
      refusals: Number(local.get("refusals")),
      private: isPrivate(),
      now: Date.now(),
    };
  }

  /** Runs a change of the subscription when the changes before it have ended, in this tab
   * and in others: a click may come while the visit still synchronises. */
  private inTurn<T>(change: (join: typeof Join) => Promise<T>): Promise<T> {
    const result = this.lastChange.then(() => loadJoin(this.config)).then((join) => join.withTabLock(() => change(join)));
    this.lastChange = result.catch(() => {});
    return result;
  }

  private disconnect(): Promise<void> {
    return this.inTurn(({ disconnect }) => disconnect(this.config, (error) => this.fail(error)));
  }

  /** Reports a fault to the page, then to the server, and to the visitor if it prevents
   * what they wanted. */
  fail(error: unknown, wanted?: boolean): void {
    this.emit("error", error);
    load<Trouble>(this.config, "trouble").then(({ reportFault }) => reportFault(this, error as Fault, wanted)).catch(() => {});
  }

  /** Subscribes, or synchronises a subscription. wanted: the visitor has just acted. */
  async connect(wanted: boolean): Promise<Outcome> {
    try {
      const sent = await this.inTurn(({ connect }) => connect(this.config, wanted, () => void this.connect(false)));
      if (sent === null) return "suppressed";
      if (!sent) return "subscribed";
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
    // 410: the site has retired push, which is not a fault of this page.
    if (event === "error" && (detail as Refused | undefined)?.status !== 410) console.warn("webpush:", detail);
    else trace(event, detail);
    for (const [name, listener] of [...this.listeners]) {
      try {
        if (name === event) listener(detail);
      } catch (error) {
        // The site's own error handling receives the site's own mistake.
        setTimeout(() => {
          throw error;
        });
      }
    }
  }
}
