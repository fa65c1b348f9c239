import type { Config } from "../shared/wire";
import type { EventName, Outcome, State, WebPush } from "./api";
import { nextStep, delayUntilAsk, type Visitor } from "./ask";
import { countView, idle, onRoute, sessionStart, visible } from "./page";
import { showPrompt, type Answer, type Prompt } from "./prompt";
import { local } from "./storage";
import { connect, currentSubscription, disconnect } from "./subscription";
import { tryWorker } from "./worker";

type Listener = (detail?: unknown) => void;

/** Push needs all of these. On iOS Notification may exist without PushManager;
 * frames get no say, because the question would seem to be the outer page's. */
const supported = (): boolean =>
  isSecureContext &&
  window.top === window &&
  "serviceWorker" in navigator &&
  "PushManager" in window &&
  "Notification" in window;

/** One page's SDK. Nothing happens before start. */
export class SDK implements WebPush {
  readonly version: string;
  private readonly listeners: [EventName, Listener][] = [];
  /** Why the worker could not be registered at the last try. */
  private failure: string | undefined;
  private requested: Promise<Outcome> | undefined;
  private trial: Promise<void> | undefined;
  private showing: { prompt: Prompt; outcome: Promise<Outcome> } | undefined;

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

  async state(): Promise<State> {
    const optedOut = !!local.get("out");
    if (!supported()) return { supported: false, permission: "denied", subscribed: false, optedOut };
    const subscribed = !!(await currentSubscription(this.config));
    return { supported: true, permission: Notification.permission, subscribed, optedOut };
  }

  async prompt(options?: { force?: boolean }): Promise<Outcome> {
    if (!supported()) return "unsupported";
    if (this.requested) return this.requested;
    const visitor = await this.visitor();
    if (options?.force) Object.assign(visitor, { out: false, asked: 0 });
    const step = nextStep(visitor, this.config.prompt?.askAgain);
    if (step === "nothing") return visitor.permission === "denied" ? "denied" : "suppressed";
    if (step !== "ask") return this.join(false);
    return (await this.workerFails()) ? "failed" : this.ask();
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
    await disconnect(this.config, (error) => this.emit("error", error));
    this.emit("unsubscribed");
  }

  /** Does by itself what the visitor's state and prompt.after ask for. */
  async start(): Promise<void> {
    await idle();
    await visible();
    if (!supported()) return;
    onRoute(() => this.run(countView()));
    await this.run(countView());
  }

  private async run(views: number): Promise<void> {
    try {
      const { prompt = {} } = this.config;
      const step = nextStep(await this.visitor(), prompt.askAgain);
      if (step === "sync" || step === "subscribe") await this.join(false);
      if (step !== "ask") return;
      const now = Date.now();
      const delay = delayUntilAsk(prompt, views, sessionStart(now), now);
      if (delay === Infinity) return;
      await new Promise((resolve) => setTimeout(resolve, delay));
      await visible();
      await this.prompt();
    } catch (error) {
      this.emit("error", error);
    }
  }

  private async visitor(): Promise<Visitor> {
    const { permission, subscribed, optedOut } = await this.state();
    const gpc = !!(navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;
    return { permission, subscribed, out: optedOut, asked: Number(local.get("asked")), private: gpc, now: Date.now() };
  }

  /** One prompt at a time: a second call gets the answer of the first. */
  private ask(): Promise<Outcome> {
    if (this.showing) return this.showing.outcome;
    let settle!: (outcome: Outcome | Promise<Outcome>) => void;
    const outcome = new Promise<Outcome>((resolve) => (settle = resolve));
    const done = (result: Outcome | Promise<Outcome>) => {
      document.removeEventListener("visibilitychange", recheck);
      this.showing = undefined;
      settle(result);
    };
    const prompt = showPrompt(this.config, (answer) => done(this.answered(answer)));
    if (!prompt) return Promise.resolve("unsupported");
    // The question may have been answered in another tab.
    const recheck = () => {
      const asked = Number(local.get("asked")) > opened;
      if (Notification.permission === before && !asked) return;
      prompt.close();
      done(asked ? "suppressed" : this.prompt());
    };
    const opened = Date.now();
    const before = Notification.permission;
    document.addEventListener("visibilitychange", recheck);
    this.showing = { prompt, outcome };
    this.emit("shown");
    return outcome;
  }

  /** Runs inside the visitor's click: nothing may come before request(). */
  private answered(answer: Answer): Outcome | Promise<Outcome> {
    if (answer === "accept") {
      const outcome = this.request();
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
    this.emit(result);
  }

  /** Subscribes; wanted is true after an act of the visitor's. */
  private async join(wanted: boolean): Promise<Outcome> {
    try {
      const told = await connect(this.config, wanted);
      if (told === null) return "suppressed";
      if (!told) return "subscribed";
    } catch (error) {
      this.emit("error", error);
      return "failed";
    }
    local.remove("asked");
    this.emit("subscribed");
    return "subscribed";
  }

  private emit(event: EventName, detail?: unknown): void {
    if (event === "error") console.warn("webpush:", detail);
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
