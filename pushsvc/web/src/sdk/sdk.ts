import type { Answer, FaceKind, FaceOptions, UI } from "../shared/face";
import type { Refused } from "../shared/post";
import type { Config } from "../shared/wire";
import { alone } from "./alone";
import type { EventName, Outcome, PromptOptions, State, WebPush } from "./api";
import { afterOf, bellHelps, delayUntilAsk, nextStep, pathAllowed, type Visitor } from "./ask";
import { isInstallable, isRobot } from "./device";
import { load } from "./lazy";
import { trace } from "./log";
import { countView, idle, onRoute, sessionStart, visible } from "./page";
import { definePreferences } from "./preferences";
import { local, session } from "./storage";
import { connect, currentSubscription, disconnect, revoke } from "./subscription";
import { checkedOf, choose, topicsOf } from "./topics";
import { bannerShown, Events, triggered } from "./triggers";
import { tryWorker } from "./worker";

type Listener = (detail?: unknown) => void;
type Answered = (answer: Answer, topics?: string[]) => Outcome | Promise<Outcome>;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

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
export class SDK implements WebPush {
  readonly version: string;
  private readonly listeners: [EventName, Listener][] = [];
  private readonly events = new Events();
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

  constructor(private readonly config: Config) {
    this.version = config.version;
  }

  on(event: EventName, listener: Listener): () => void {
    const entry: [EventName, Listener] = [event, listener];
    this.listeners.push(entry);
    return () => {
      const index = this.listeners.indexOf(entry);
      if (index >= 0) this.listeners.splice(index, 1);
    };
  }

  event(name: string): void {
    this.events.add(String(name));
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
      if (!this.showing) await (this.trial ??= tryWorker(this.config).finally(() => (this.trial = undefined)));
    } catch (error) {
      this.failure = String(error);
      if (this.failure !== before) this.emit("error", error);
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
    local.set("out", "1");
    await this.inTurn(() => disconnect(this.config, (error) => this.emit("error", error)));
    this.emit("unsubscribed");
  }

  async logout(): Promise<void> {
    local.remove("ct");
    if (!supported() || !(await currentSubscription(this.config))) return;
    await this.inTurn(() => disconnect(this.config, (error) => this.emit("error", error)));
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
      if ((await this.state()).subscribed) await this.inTurn(() => connect(this.config, false));
    } catch (error) {
      this.emit("error", error);
      throw error;
    }
  }

  /** Does by itself what the visitor's state and prompt.after ask for. ready is
   * what has to be there first. */
  async start(ready?: Promise<void>): Promise<void> {
    await idle();
    await visible();
    await ready;
    definePreferences(this.config, this);
    if (!installable() && !supported()) return;
    if (supported() && Notification.permission !== "granted") await this.inTurn(() => revoke(this.config));
    onRoute(() => this.run(countView()));
    await this.run(countView());
  }

  private async run(views: number): Promise<void> {
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
      await triggered(after, this.events, signal);
      // The banner that stands in the way may come and go at any time.
      while ((await visible(), !signal.aborted && bannerShown(prompt.consent))) await sleep(500);
      if (!signal.aborted && !this.fold) await (helps ? this.help("bell") : this.prompt());
    } catch (error) {
      this.emit("error", error);
    }
  }

  private async visitor(): Promise<Visitor> {
    const { permission, subscribed, optedOut } = await this.state();
    const { globalPrivacyControl, doNotTrack, userAgent } = navigator as Navigator & { globalPrivacyControl?: boolean };
    return {
      permission,
      subscribed,
      out: optedOut,
      robot: isRobot(userAgent),
      asked: Number(local.get("asked")),
      refusals: Number(local.get("refusals")),
      private: !!globalPrivacyControl || doNotTrack === "1",
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
      this.emit("error", error);
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
    const permission = await Notification.requestPermission();
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
  private inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.turn.then(() => alone(action));
    this.turn = result.catch(() => {});
    return result;
  }

  /** Subscribes; wanted is true after an act of the visitor's. */
  private async join(wanted: boolean): Promise<Outcome> {
    try {
      const told = await this.inTurn(() => connect(this.config, wanted));
      if (told === null) return "suppressed";
      if (!told) return "subscribed";
    } catch (error) {
      this.emit("error", error);
      return "failed";
    }
    local.remove("asked");
    local.remove("refusals");
    this.emit("subscribed");
    return "subscribed";
  }

  private emit(event: EventName, detail?: unknown): void {
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

/** What ui.js is told: the call's own wishes before the site's. */
export function faceOptions(
  config: Config,
  kind: FaceKind,
  options: PromptOptions,
  answered: FaceOptions["answered"],
): FaceOptions {
  const { prompt = {}, icon, name, site } = config;
  // The site's words are about the question; the other faces have their own.
  const own = kind === "ios" || kind === "denied" || kind === "preferences" ? {} : prompt;
  const { title, body, accept, reject } = { ...own, ...defined(options) };
  return {
    kind,
    texts: { title, body, accept, reject },
    color: options.color || prompt.color,
    textColor: options.textColor || prompt.textColor,
    ariaAccept: options.ariaAccept,
    ariaReject: options.ariaReject,
    icon,
    name: name || site,
    topics: topicsOf(config),
    language: document.documentElement.lang || navigator.language,
    answered,
  };
}

/** Without the members that are missing or empty. */
const defined = (options: PromptOptions): PromptOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value));

