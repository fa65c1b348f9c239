// Names of CleverTap's API that pages may call without any effect here. The bell of the
// inbox replaces those of the inbox when it is on the page (popup/inbox_api.ts).

import type { Log } from "./log";
import { local } from "../sdk/storage";
import { read } from "./storage";

/** The version of CleverTap's SDK that has these names. */
const version = "web-sdk-v2.7.4";

const variable = (name: unknown, value: unknown) => ({ name, value, defaultValue: value });

/** The functions that return something. */
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

/** The functions that return nothing. */
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

/** The functions that CleverTap's server and its e-mail preference pages call. */
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

/** Adds the functions to the API. */
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
