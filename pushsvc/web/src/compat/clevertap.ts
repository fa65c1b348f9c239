import type { NotificationDetails } from "../sdk/api";
import type { SDK } from "../sdk/sdk";
import { local } from "../sdk/storage";
import { outByCleverTap } from "../sdk/storage_keys";
import type { Call, Stub } from "../sdk/stub";
import { addAccepted } from "./accepted";
import { Log } from "./log";
import { closeIframe } from "./popups";
import { decide, readWish, type Surroundings, type Wish } from "./prompt";
import { People } from "./people";
import { attributesOf, operation, operators, profile } from "./profile_rules";
import { isText, objects, pairEvents, splitPrompts } from "./queue";
import { charge, eventName, properties } from "./rules";
import { read } from "./storage";
import { useWorker } from "./worker";

/** The order in which CleverTap's SDK replays the calls that came before it. */
const replayOrder = ["privacy", "onUserLogin", "privacy", "event", "profile", "notifications"];

const flags = [
  "spa",
  "enablePersonalization",
  "dismissSpamControl",
  "enableFetchApi",
  "enableEncryptionInTransit",
  "domainSpecification",
  "notificationCallback",
  "popupCallback",
];

/** The part of CleverTap's configuration that has an effect here. */
interface Config {
  customId?: unknown;
}

/** Reports whether the visitor opted out by CleverTap's API, here or at CleverTap. */
const optedOut = (): boolean => local.get("out") === outByCleverTap;

/** `window.clevertap`: CleverTap's names, its order of decisions and its console messages.
 * It never throws and never calls CleverTap. */
export class CleverTap {
  [name: string]: unknown;
  spa = false;
  enablePersonalization = false;
  dismissSpamControl = true;
  enableFetchApi = false;
  enableEncryptionInTransit = false;

  private readonly log = new Log();
  private accountId = "";
  private prompting = false;
  private config: Config | undefined;
  /** Stubs that wait for an account. */
  private readonly waiting: Stub[] = [];

  /** A bundled SDK of CleverTap's reads the first account's id when it loads. It finds
   * none, and so it does not start. */
  readonly account = { 0: {}, push: (...args: unknown[]) => this.setAccount(args) };
  readonly event = {
    push: (...args: unknown[]) => this.pushEvents(args),
    getDetails: (name: string) => this.ifPersonalized(() => this.people.details(name)),
    getEventDetails: (name: string) => this.ifPersonalized(() => this.people.details(name)),
  };
  readonly profile: Record<string, unknown> = {
    push: (...args: unknown[]) => this.pushProfiles("profile", args),
    getAttribute: (name: string) => this.ifPersonalized(() => this.people.attribute(name)),
  };
  readonly onUserLogin = {
    push: (...args: unknown[]) => this.pushProfiles("onUserLogin", args),
    clear: () => this.clear(),
  };
  readonly privacy = {
    push: (...args: unknown[]) => (objects(args).forEach((wish) => this.setPrivacy(wish)), 0),
  };
  readonly notifications = {
    push: (...args: unknown[]) => (splitPrompts(args).forEach((call) => void this.pushPrompt(call)), 0),
    enable: (...args: unknown[]) => this.notifications.push(...args),
  };
  readonly user = {
    getTotalVisits: () => this.ifPersonalized(() => this.people.visits()),
    getLastVisit: () => this.ifPersonalized(() => this.people.lastVisit()),
  };
  readonly session = {
    getTimeElapsed: () => this.ifPersonalized(() => this.people.elapsed()),
    getPageCount: () => this.ifPersonalized(() => this.people.pages()),
  };
  /** `$WZRK_WR`, which custom pop-ups call. */
  readonly responses: Record<string, unknown> = {
    closeIframe,
    setEnum: (value: unknown) => "$E_" + String(value),
    is_onloadcalled: () => document.readyState === "complete",
    isMuted: () => false,
    getMuteExpiry: () => 0,
    logout: () => this.logout(),
    clear: () => this.clear(),
  };

  private readonly people: People;

  constructor(private readonly sdk: SDK) {
    this.people = new People(sdk);
    addAccepted(this, this.log);
    for (const name of Object.keys(operators)) {
      this[name] = this.profile[name] = (key: unknown, value: unknown) => this.operate(name, key, value);
    }
    const viewed = (details?: NotificationDetails) => sdk.raise("viewed", details);
    const clicked = (details?: NotificationDetails) => sdk.raise("clicked", details);
    this.raiseNotificationViewed = this.renderNotificationViewed = viewed;
    this.raiseNotificationClicked = this.renderNotificationClicked = this.raisePopupNotificationClicked = clicked;
    for (const name of ["setOffline", "delayEvents"]) this[name] = (hold: unknown) => this.setHeld(name, hold);
    for (const name of ["notificationCallback", "popupCallback"] as const) {
      Object.defineProperty(this, name, { get: () => sdk[name], set: (callback) => (sdk[name] = callback) });
    }
  }

  init = (id?: string, _region?: unknown, _domain?: unknown, _token?: unknown, config?: unknown): void => {
    if (this.accountId) return;
    const query = new URLSearchParams(location.search);
    if (query.has("e") && query.get("wzrk_ex") === "0") return;
    if (!id) return this.log.error("Incorrect embed script.");
    this.accountId = String(id);
    this.setCustomId((config as Config | undefined)?.customId || this.config?.customId);
    for (const stub of this.waiting.splice(0)) this.replay(stub);
  };

  setLogLevel = (level: unknown): void => this.log.setLevel(level);

  /** Counts one more page of this visit. */
  pageChanged = (): void => {
    this.people.pageSeen();
    void this.sdk.pageSeen();
  };

  getLocation = (latitude?: unknown, longitude?: unknown): void => {
    const valid = (value: unknown, limit: number) => typeof value === "number" && Math.abs(value) <= limit;
    const given = latitude !== undefined || longitude !== undefined;
    if (given && !(valid(latitude, 90) && valid(longitude, 180))) return this.log.error("A valid lat and lng must be passed");
    if (!optedOut()) this.people.location(latitude as number, longitude as number);
  };

  getAccountID = (): string | null => this.accountId || null;

  logout = (): void => this.people.logout();

  clear = (): void => this.people.logout();

  /** Sets the site's own id of the browser, unless the browser has an id already. */
  private setCustomId(id: unknown): void {
    if (!id || (this.getCleverTapID as () => unknown)()) return;
    if (typeof id !== "string") return this.log.error("ID must be a string.");
    if (!this.people.recordAlias(id)) this.log.error("Invalid customId");
  }

  private setHeld(name: string, hold: unknown): void {
    if (typeof hold !== "boolean") return this.log.error(`${name} should be called with a value of type boolean`);
    this.sdk.queue.held = hold;
    if (!hold) this.sdk.send();
  }

  /** Takes over a stub: replays its calls as soon as there is an account, and makes the
   * stub itself work as the API. */
  readonly adopt = (stub: Stub): void => {
    const queue = (name: string) => (Array.isArray(stub[name]) ? [...(stub[name] as unknown[])] : []);
    const queued: Stub = Object.fromEntries([...new Set(replayOrder)].map((name) => [name, queue(name)]));
    for (const name of flags) if (stub[name] !== undefined) this[name] = stub[name];
    this.config ??= stub.config as Config | undefined;
    if (this.accountId) this.setCustomId(this.config?.customId);
    const account = queue("account");
    for (const name of Object.keys(stub)) if (name in this) delete stub[name];
    // A property that the page sets on the stub is set on the API.
    if (Object.isExtensible(stub)) Object.setPrototypeOf(stub, new Proxy(this, { set: (api, name, value) => Reflect.set(api, name, value) }));
    this.waiting.push(queued);
    if (account.length) this.setAccount(account);
    if (this.accountId) for (const waiting of this.waiting.splice(0)) this.replay(waiting);
  };

  /** Makes a call that the page made before the API was loaded. */
  readonly call = ([[name, member], args]: Call): void => {
    const owner = (member === undefined ? this : this[name!]) as Record<string, unknown> | undefined;
    const method = owner?.[member ?? name!];
    if (typeof method === "function") method.apply(owner, args);
  };

  private replay(queued: Stub): void {
    for (const name of replayOrder) {
      const queue = (queued[name] as unknown[]).splice(0);
      const target = this[name] as { push(...args: unknown[]): unknown };
      if (queue.length) target.push(...queue);
    }
  }

  private setAccount(args: unknown[]): void {
    const [account, ...options] = args;
    const id = (account as { id?: unknown } | undefined)?.id;
    if (id) this.init(String(id), ...options);
  }

  private pushEvents(args: unknown[]): number {
    if (!isText(args[0])) this.log.error("Event name should be string", 510);
    for (const [given, props = {}] of pairEvents(args)) {
      const name = eventName(given, this.log);
      if (name === undefined) continue;
      const kept = name === "Charged" ? charge(props, this.log) : properties(props, this.log);
      if (!kept || (name === "Charged" && !this.isNewCharge(props["Charged ID"]))) continue;
      this.logRecorded("event " + name, kept, this.people.event(name, kept));
    }
    return 0;
  }

  private pushProfiles(method: string, args: unknown[]): number {
    const login = method === "onUserLogin";
    // If a call logs several people in, the last one counts.
    for (const given of objects(login ? args.slice(-1) : args)) {
      const attributes = attributesOf(given);
      if (!attributes || !Object.keys(attributes).length) this.log.error("Profile object is in incorrect format");
      else {
        const { CustomCTID: id, ...others } = attributes;
        const kept = profile(login ? others : attributes, this.log);
        kept.tz ??= String(new Date()).match(/[A-Z]+[+-]\d+/)?.[0]; // GMT+0530
        this.logRecorded(method, kept, login ? this.people.login(kept, given.signature) : this.people.set(kept));
        if (login && id && !this.people.recordAlias(id)) this.log.error("Invalid CustomCTID");
      }
    }
    return 0;
  }

  private operate(method: string, key: unknown, value: unknown): void {
    for (const [name, change] of Object.entries(operation(method, key, value, this.log) ?? {})) {
      this.logRecorded("profile." + method, { [name]: change }, this.people.operate(name, change as Record<string, unknown>));
    }
  }

  /** Reports whether the sale is new. A sale that was recorded before is dropped. */
  private isNewCharge(id: unknown): boolean {
    if (typeof id !== "string" && typeof id !== "number") return true;
    id = String(id).trim();
    if (local.get("charged") === id || String(read("WZRK_CHARGED_ID")).trim() === id) {
      this.log.error("Duplicate charged Id - Dropped");
      return false;
    }
    local.set("charged", String(id));
    return true;
  }

  private ifPersonalized<T>(value: () => T): T | undefined {
    return this.enablePersonalization ? value() : undefined;
  }

  /** Logs the names of the properties, never the values: they are the visitor's. */
  private logRecorded(what: string, props: Record<string, unknown>, taken: boolean): void {
    this.log.debug(`${what} (${Object.keys(props).join(", ")}): ${taken ? "recorded" : "dropped"}`);
  }

  private setPrivacy(wish: Record<string, unknown>): void {
    if (wish.optOut === true) {
      if (!optedOut()) this.sdk.privacy({ optOut: true });
      void this.sdk.unsubscribe();
      // After unsubscribe(), which notes that the visitor unsubscribed.
      local.set("out", outByCleverTap);
    } else if (wish.optOut === false && optedOut()) {
      local.remove("out");
      this.sdk.privacy({ optOut: false });
    }
    this.log.debug("privacy: " + JSON.stringify(wish));
  }

  private async pushPrompt(args: unknown[]): Promise<void> {
    const wish = readWish(args);
    if (wish.ignored.length) this.log.info(`${wish.ignored.join(", ")}: accepted, without effect here`);
    if (wish.serviceWorkerPath) useWorker(this.sdk.config, wish.serviceWorkerPath);
    const decision = decide(this.surroundings(), wish);
    this.log.debug("notifications.push: " + decision.step);
    if (decision.step === "nothing") {
      if (decision.error) this.log.error(decision.error);
      return;
    }
    if (optedOut()) return;
    this.prompting = true;
    const outcome = await (decision.step === "subscribe" ? this.sdk.subscribe() : this.show(wish)).finally(
      () => (this.prompting = false),
    );
    if (outcome === "subscribed") wish.subscriptionCallback?.();
  }

  private surroundings(): Surroundings {
    const notification = "Notification" in window;
    return {
      account: !!this.accountId,
      serviceWorker: "serviceWorker" in navigator,
      secure: isSecureContext,
      pushManager: "PushManager" in window,
      notification,
      permission: notification ? Notification.permission : "default",
      shown: Number(local.get("asked")),
      open: this.prompting,
      now: Date.now(),
    };
  }

  private show(wish: Wish): ReturnType<SDK["prompt"]> {
    let accepted = false;
    const refuse = () => {
      if (!accepted) wish.rejectCallback?.();
    };
    const listeners = [
      // CleverTap counts from the time when the prompt was shown, not from the answer.
      this.sdk.on("shown", () => local.set("asked", String(Date.now()))),
      this.sdk.on("accepted", () => {
        accepted = true;
        wish.okCallback?.();
      }),
      this.sdk.on("rejected", refuse),
      this.sdk.on("dismissed", refuse),
    ];
    const options = {
      title: wish.titleText,
      body: wish.bodyText,
      accept: wish.okButtonText,
      reject: wish.rejectButtonText,
      color: wish.okButtonColor,
      ariaAccept: wish.okButtonAriaLabel,
      ariaReject: wish.rejectButtonAriaLabel,
      askAgain: wish.askAgainTimeInSeconds,
    };
    return this.sdk.prompt(options).finally(() => listeners.forEach((off) => off()));
  }
}
