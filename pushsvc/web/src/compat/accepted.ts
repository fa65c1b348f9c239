// Names that pages may call, and that must neither fail nor do anything here. Those
// of the inbox are taken over by its bell when there is one (popup/inbox_api.ts).

import type { Log } from "./log";
import { local } from "../sdk/storage";
import { read } from "./storage";

/** Version of CleverTap's SDK whose names these are. */
const version = "web-sdk-v2.7.4";

const variable = (name: unknown, value: unknown) => ({ name, value, defaultValue: value });

/** What each gives. */
const answers: Record<string, (...args: never[]) => unknown> = {
  getCleverTapID: () => local.get("cid") || (read("WZRK_G") ?? null),
  getSDKVersion: () => version,
  isLocalStorageEncryptionEnabled: () => false,
  getAllQualifiedCampaignDetails: () => [],
  getInboxMessageCount: () => 0,
  getInboxMessageUnreadCount: () => 0,
  getAllInboxMessages: () => ({}),
  getUnreadInboxMessages: () => ({}),
  defineVariable: variable,
  defineFileVariable: (name: unknown) => variable(name, undefined),
  fetchVariables: (done?: () => void) => done?.(),
  getVariables: () => ({}),
  getVariants: () => [],
};

/** What gives nothing. */
const silent = [
  "getSCDomain",
  "setLibrary",
  "setSCSDKVersion",
  "enableLocalStorageEncryption",
  "getInboxMessageForId",
  "deleteInboxMessage",
  "markReadInboxMessage",
  "markReadInboxMessagesForIds",
  "markReadAllInboxMessage",
  "toggleInbox",
  "syncVariables",
  "getVariableValue",
  "addVariablesChangedCallback",
  "addOneTimeVariablesChangedCallback",
];

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
  for (const name of [...silent, ...Object.keys(answers)]) {
    api[name] = (...args: never[]) => {
      say(name);
      return answers[name]?.(...args);
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
