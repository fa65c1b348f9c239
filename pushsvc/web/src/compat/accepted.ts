// Names that pages may call, and that must neither fail nor do anything here yet.

import type { Log } from "./log";
import { read } from "./storage";

/** Version of CleverTap's SDK whose names these are. */
const version = "web-sdk-v2.7.4";

const variable = (name: unknown, value: unknown) => ({ name, value, defaultValue: value });

/** What each gives. */
const answers: Record<string, (...args: never[]) => unknown> = {
  getCleverTapID: () => read("WZRK_G") ?? null,
  getSDKVersion: () => version,
  getSCDomain: () => undefined,
  setLibrary: () => undefined,
  setSCSDKVersion: () => undefined,
  enableLocalStorageEncryption: () => undefined,
  isLocalStorageEncryptionEnabled: () => false,
  getAllQualifiedCampaignDetails: () => [],
  getInboxMessageCount: () => 0,
  getInboxMessageUnreadCount: () => 0,
  getAllInboxMessages: () => ({}),
  getUnreadInboxMessages: () => ({}),
  getInboxMessageForId: () => undefined,
  deleteInboxMessage: () => undefined,
  markReadInboxMessage: () => undefined,
  markReadInboxMessagesForIds: () => undefined,
  markReadAllInboxMessage: () => undefined,
  toggleInbox: () => undefined,
  defineVariable: variable,
  defineFileVariable: (name: unknown) => variable(name, undefined),
  syncVariables: () => undefined,
  fetchVariables: (done?: () => void) => done?.(),
  getVariables: () => ({}),
  getVariableValue: () => undefined,
  addVariablesChangedCallback: () => undefined,
  addOneTimeVariablesChangedCallback: () => undefined,
  getVariants: () => [],
};

/** What CleverTap's server and its e-mail preference pages call. */
const responses = [
  "s",
  "tr",
  "enableWebPush",
  "subEmail",
  "getEmail",
  "unSubEmail",
  "unsubEmailGroups",
  "changeSubscriptionGroups",
  "setUpdatedCategoryLong",
];

interface Target {
  [name: string]: unknown;
  readonly responses: Record<string, unknown>;
}

/** Adds the names to the API. */
export function addAccepted(api: Target, log: Log): void {
  const say = (name: string) => log.debug(name + ": accepted, without effect here");
  for (const [name, answer] of Object.entries(answers)) {
    api[name] = (...args: never[]) => {
      say(name);
      return answer(...args);
    };
  }
  const groups = { subscriptions: [] as unknown, none: true };
  Object.assign(api.responses, {
    setSubscriptionGroups: (value: unknown) => void (groups.subscriptions = value),
    getSubscriptionGroups: () => groups.subscriptions,
    setIsGlobalUnsubscribe: (value: unknown) => void (groups.none = !!value),
    isGlobalUnsubscribe: () => groups.none,
  });
  for (const name of responses) api.responses[name] = () => say("$WZRK_WR." + name);
}
