import type { SDK } from "../sdk/sdk";
import { local } from "../sdk/storage";
import type { PromptConfig } from "../shared/wire";
import { attempt, Emitter, type Listener } from "./emitter";
import { eventsOf } from "./notification";
import { older } from "./older";
import { Person } from "./person";
import { forced, promptPlan, promptTexts } from "./prompts";
import { blocked, permission, type Subscription, subscription, supported } from "./state";
import { storePerson } from "./storage";
import { listen } from "./worker";

/** The functions by which a namespace of the API takes listeners. */
const listeners = (emitter: Emitter, startListening?: (event: string) => void) => ({
  addEventListener(event: string, listener: Listener): void {
    emitter.on(event, listener);
    startListening?.(event);
  },
  removeEventListener: (event: string, listener: Listener): void => emitter.off(event, listener),
});

/** Events that only the worker knows of. */
const fromWorker = /^(click|dismiss|foregroundWillDisplay|notification(Click|Dismiss|Display))$/;

const inform = (text: string): void => console.info("webpush: OneSignal." + text);

/** `window.OneSignal`: the names of v16 here, those of v15 in older.ts. It never throws and
 * never calls OneSignal. */
export class OneSignal {
  readonly initialized = true;

  /** Events of notifications, prompt and permission, and those of v15. */
  private readonly emitter = new Emitter();
  private readonly users = new Emitter();
  private readonly subscriptions = new Emitter();
  private readonly person = new Person(this.sdk, (current) => this.users.emit("change", { current }));
  private options: unknown;
  /** The site's own settings of the prompt. */
  private readonly site: PromptConfig = { ...this.sdk.config.prompt };
  private permissionBefore = permission();
  private subscriptionBefore: Subscription;
  private listening = false;

  readonly Slidedown = {
    promptPush: (options?: unknown) => this.ask(false, options),
    promptPushCategories: (options?: unknown) => this.ask(false, options),
    promptSms: async () => inform("Slidedown: SMS are not asked for here"),
    promptEmail: async () => inform("Slidedown: e-mail is not asked for here"),
    promptSmsAndEmail: async () => inform("Slidedown: SMS and e-mail are not asked for here"),
    ...listeners(this.emitter),
  };

  readonly Notifications = {
    get permission(): boolean {
      return permission() === "granted";
    },
    get permissionNative(): NotificationPermission {
      return permission();
    },
    setDefaultUrl: async (_url?: unknown) => {},
    setDefaultTitle: async (_title?: unknown) => {},
    isPushSupported: supported,
    requestPermission: () => this.ask(true).then(() => permission() === "granted"),
    ...listeners(this.emitter, (event) => this.startListening(event)),
  };

  readonly Session = {
    sendOutcome: async (name: unknown, weight?: unknown) => this.person.outcome(name, weight),
    sendUniqueOutcome: async (name: unknown) => this.person.outcome(name, undefined, true),
  };

  readonly User = this.user();
  readonly Debug = { setLogLevel: (_level?: unknown) => {} };

  constructor(private readonly sdk: SDK) {
    this.giveSubscriptionId();
    this.subscriptionBefore = subscription();
    const acts = {
      ask: (native: boolean, options?: unknown) => this.ask(native, options),
      opt: (wanted: boolean) => this.opt(wanted),
      startListening: (event: string) => this.startListening(event),
      login: (who: unknown, hash: unknown) => this.login(who, hash),
      logout: () => this.logout(),
      consent: (given: unknown) => this.setConsentGiven(given),
    };
    Object.assign(this, older(this.emitter, this.person, acts));
    this.watch();
    if (blocked()) this.block();
  }

  private user() {
    const { person } = this;
    return {
      PushSubscription: {
        get id(): string | undefined {
          return subscription().id;
        },
        get token(): string | undefined {
          return subscription().token;
        },
        get optedIn(): boolean {
          return subscription().optedIn;
        },
        optIn: () => this.opt(true),
        optOut: () => this.opt(false),
        ...listeners(this.subscriptions),
      },
      get onesignalId(): string | undefined {
        return person.current().onesignalId;
      },
      get externalId(): string | undefined {
        return person.current().externalId;
      },
      addAlias: (label: unknown, id: unknown) => person.alias({ [String(label)]: id }),
      addAliases: (aliases: unknown) => person.alias(aliases),
      removeAlias: (_label?: unknown) => {},
      removeAliases: (_labels?: unknown) => {},
      addEmail: (email: unknown) => void person.set({ Email: email }),
      removeEmail: (_email?: unknown) => void person.set({ Email: null }),
      addSms: (number: unknown) => void person.set({ Phone: number }),
      removeSms: (_number?: unknown) => void person.set({ Phone: null }),
      addTag: (key: unknown, value: unknown) => void person.tag({ [String(key)]: value }),
      addTags: (tags: unknown) => void person.tag(tags),
      removeTag: (key: unknown) => void person.untag([key]),
      removeTags: (keys: unknown) => void person.untag(keys),
      getTags: () => person.tags(),
      setLanguage: (language: unknown) => person.setLanguage(language),
      getLanguage: () => person.language(),
      trackEvent: (name: unknown, properties?: unknown) => person.event(name, properties),
      ...listeners(this.users),
    };
  }

  /** Reads the page's settings of the prompt. The site sets everything else. */
  async init(options?: unknown): Promise<void> {
    if (this.options) return inform("init: called again, without effect");
    this.options = options ?? {};
    const { requiresUserPrivacyConsent } = this.options as { requiresUserPrivacyConsent?: unknown };
    if (requiresUserPrivacyConsent) storePerson(local, { required: true });
    this.applyConsent();
    this.emitter.emit("initialize");
    this.emitter.emit("register");
  }

  async login(externalId: unknown, token?: unknown): Promise<void> {
    if (!blocked()) this.person.login(externalId, token);
  }

  async logout(): Promise<void> {
    if (!blocked()) await this.person.logout();
  }

  /** Runs the entries of the page's queue: functions, or names with their arguments. */
  push(...items: unknown[]): unknown {
    return items.map((item) => attempt(() => this.run(item)))[0];
  }

  private run(item: unknown): unknown {
    if (typeof item === "function") return item.call(this, this);
    const [name, ...args] = Array.isArray(item) ? item : [];
    const method = (this as Record<string, unknown>)[String(name)];
    if (typeof method === "function") return method.apply(this, args);
    return inform(`push: there is no function ${String(name)}`);
  }

  /* Consent. */

  async setConsentRequired(required?: unknown): Promise<void> {
    storePerson(local, { required: !!required });
    this.applyConsent();
  }

  async setConsentGiven(given?: unknown): Promise<void> {
    storePerson(local, { given: !!given });
    this.applyConsent();
  }

  /** Does what the visitor's consent, or its absence, requires. */
  private applyConsent(): void {
    if (blocked()) return this.block();
    if (this.sdk.queue.held) {
      this.sdk.queue.held = false;
      this.sdk.send();
    }
    // The site's settings win over the page's.
    const site = Object.fromEntries(Object.entries(this.site).filter(([, value]) => value));
    this.setPrompt({ ...promptTexts(this.options), ...promptPlan(this.options), ...site });
  }

  private block(): void {
    this.sdk.queue.held = true;
    this.setPrompt({ ...this.site, after: { manual: true } });
  }

  private setPrompt(prompt: PromptConfig): void {
    this.sdk.config.prompt = prompt;
    this.sdk.decideAgain();
  }

  /* The questions. */

  /** Asks the visitor: by the browser's question in a click if native is wanted, else by
   * ours, because browsers ignore theirs without a click. No await may come before it, or
   * the click no longer counts. */
  private async ask(native: boolean, options?: unknown): Promise<void> {
    if (blocked()) return;
    if (local.get("out") && permission() === "granted" && !forced(options)) return;
    if (native && (navigator.userActivation?.isActive ?? true)) {
      if (permission() === "default") this.emitter.emit("permissionPromptDisplay");
      await this.sdk.subscribe();
    } else await this.sdk.prompt({ ...promptTexts(this.options), ...(forced(options) && { force: true }) });
    this.emitChanges();
  }

  /** Subscribes or unsubscribes, as the visitor wants. */
  private async opt(wanted: boolean): Promise<void> {
    if (!wanted) await this.sdk.unsubscribe();
    else if (blocked()) return;
    else if (permission() === "granted" || (navigator.userActivation?.isActive ?? true)) await this.sdk.subscribe();
    else await this.sdk.prompt({ ...promptTexts(this.options), force: true });
    this.emitChanges();
  }

  /* The listeners' events. */

  private watch(): void {
    const mapped: [Parameters<SDK["on"]>[0], string[]][] = [
      ["shown", ["slidedownShown", "popoverShown"]],
      ["accepted", ["slidedownAllowClick", "popoverAllowClick", "slidedownClosed", "popoverClosed"]],
      ["rejected", ["slidedownCancelClick", "popoverCancelClick", "slidedownClosed", "popoverClosed"]],
      ["dismissed", ["slidedownClosed", "popoverClosed"]],
    ];
    for (const [event, names] of mapped) this.sdk.on(event, () => names.forEach((name) => this.emitter.emit(name, true)));
    this.sdk.on("accepted", () => {
      if (permission() === "default") this.emitter.emit("permissionPromptDisplay");
    });
    const look = () => this.emitChanges();
    for (const event of ["denied", "dismissed", "subscribed", "unsubscribed"] as const) this.sdk.on(event, look);
    navigator.permissions?.query({ name: "notifications" }).then(
      (status) => status.addEventListener("change", look),
      () => {},
    );
    addEventListener("focus", look);
  }

  private giveSubscriptionId(): void {
    if (local.get("sub")) this.person.giveId();
  }

  /** Emits what has changed since the last call. */
  private emitChanges(): void {
    const now = permission();
    if (now !== this.permissionBefore) {
      this.permissionBefore = now;
      this.emitter.emit("permissionChange", now === "granted");
      this.emitter.emit("notificationPermissionChange", { to: now });
    }
    this.giveSubscriptionId();
    const [previous, current] = [this.subscriptionBefore, subscription()];
    if (JSON.stringify(previous) === JSON.stringify(current)) return;
    this.subscriptionBefore = current;
    this.subscriptions.emit("change", { previous, current });
    if (previous.optedIn !== current.optedIn) this.emitter.emit("subscriptionChange", current.optedIn);
  }

  /** Asks the worker for its events once the page listens for one, and for a click that has
   * opened this page. */
  private startListening(event: string): void {
    if (this.listening || !fromWorker.test(event)) return;
    this.listening = true;
    listen(this.sdk.config, (message) => {
      for (const [name, detail] of eventsOf(message)) this.emitter.emit(name, detail);
    });
  }
}
