// OneSignal's names up to v15: functions of the one object. Most return a promise and also
// take a callback.

import { local } from "../sdk/storage";
import type { Emitter, Listener } from "./emitter";
import { attempt } from "./emitter";
import type { Person } from "./person";
import { permission, subscription, supported } from "./state";

/** What the older names need of the newer ones. */
export interface Acts {
  ask(native: boolean, options?: unknown): Promise<void>;
  opt(wanted: boolean): Promise<void>;
  startListening(event: string): void;
  login(who: unknown, hash: unknown): Promise<void>;
  logout(): Promise<void>;
  consent(given: unknown): Promise<void>;
}

/** Makes a function that also takes a callback for its result, as its last argument. */
const answering =
  <T>(answer: (...args: any[]) => T) =>
  async (...args: any[]): Promise<Awaited<T>> => {
    const value = await answer(...args.filter((arg) => typeof arg !== "function"));
    for (const callback of args) if (typeof callback === "function") attempt(() => callback(value));
    return value;
  };

/** The tags that were sent, null for none. */
const sent = (tags: Record<string, string | null>) => (Object.keys(tags).length ? tags : null);

const nothing = () => {};

/** Accepted without effect: these mean e-mail, SMS or plain HTTP, or something that the
 * sender of a message sets here. */
const accepted = answering(nothing);
const none = answering(() => null);

export function older(emitter: Emitter, person: Person, acts: Acts) {
  const soft = (options?: unknown) => acts.ask(false, options);
  const id = () => subscription().id ?? null;
  const token = () => subscription().token ?? null;
  const listen = (once: boolean) =>
    function (this: unknown, event: string, listener: Listener) {
      emitter.on(event, listener, once);
      acts.startListening(event);
      return this;
    };
  return {
    on: listen(false),
    once: listen(true),
    off(event: string, listener?: Listener) {
      emitter.off(event, listener);
      return this as unknown;
    },
    // Without callbacks: no await may come before the browser's question.
    registerForPushNotifications: (options?: { slidedown?: unknown; modalPrompt?: unknown }) =>
      acts.ask(!options?.slidedown && !options?.modalPrompt, options),
    showNativePrompt: () => acts.ask(true),
    showHttpPrompt: soft,
    showHttpPermissionRequest: soft,
    showSlidedownPrompt: soft,
    showCategorySlidedown: soft,
    showSmsSlidedown: accepted,
    showEmailSlidedown: accepted,
    showSmsAndEmailSlidedown: accepted,
    isPushNotificationsSupported: supported,
    isPushNotificationsEnabled: answering(() => subscription().optedIn),
    getNotificationPermission: answering(permission),
    getSubscription: answering(() => !local.get("out")),
    isOptedOut: answering(() => !!local.get("out")),
    setSubscription: answering((wanted: unknown) => acts.opt(!!wanted)),
    optOut: answering((out: unknown) => acts.opt(!out)),
    getUserId: answering(id),
    getRegistrationId: answering(token),
    getIdsAvailable: answering(() => ({ userId: id(), registrationId: token() })),
    setExternalUserId: answering((who: unknown, hash: unknown) => (who ? acts.login(who, hash) : acts.logout())),
    removeExternalUserId: answering(acts.logout),
    getExternalUserId: answering(() => person.current().externalId),
    getTags: answering(() => person.tags()),
    sendTag: answering((key: unknown, value: unknown) => sent(person.tag({ [String(key)]: value }))),
    sendTags: answering((tags: unknown) => sent(person.tag(tags))),
    deleteTag: answering((key: unknown) => person.untag([key])),
    deleteTags: answering((keys: unknown) => person.untag(keys)),
    setEmail: answering((email: unknown) => (person.set({ Email: email }), null)),
    logoutEmail: answering(() => void person.set({ Email: null })),
    getEmailId: none,
    setSMSNumber: answering((number: unknown) => (person.set({ Phone: number }), null)),
    logoutSMS: answering(() => void person.set({ Phone: null })),
    getSMSId: none,
    syncHashedEmail: accepted,
    provideUserConsent: answering(acts.consent),
    sendOutcome: answering((name: unknown, weight: unknown) => person.outcome(name, weight)),
    sendUniqueOutcome: answering((name: unknown) => person.outcome(name, undefined, true)),
    setDefaultNotificationUrl: accepted,
    setDefaultTitle: accepted,
    setDefaultIcon: accepted,
    sendSelfNotification: accepted,
    async addListenerForNotificationOpened(listener?: Listener): Promise<void> {
      if (listener) emitter.on("notificationClick", listener, true);
      acts.startListening("notificationClick");
    },
    log: { setLevel: nothing, trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing },
  };
}
