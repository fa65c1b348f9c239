// Names that pages may call, and that must neither fail nor do anything here yet.

import type { Log } from "./log";
import { read } from "./storage";

/** Version of CleverTap's SDK whose names these are. */
const version = "web-sdk-v2.7.4";

const variable = (name: unknown, value: unknown) => ({ name, value, defaultValue: value });

/** What each gives. */
const answers: Record<string, (...args: never[]) => unknown> = {
  pageChanged: () => undefined,
  setOffline: () => undefined,
  delayEvents: () => undefined,
  getCleverTapID: () => read("WZRK_G") ?? null,
  getSDKVersion: () => version,
  getSCDomain: () => undefined,
  setLibrary: () => undefined,
  setSCSDKVersion: () => undefined,
  enableLocalStorageEncryption: () => undefined,
  isLocalStorageEncryptionEnabled: () => false,
  raiseNotificationViewed: () => undefined,
  raiseNotificationClicked: () => undefined,
  raisePopupNotificationClicked: () => undefined,
  renderNotificationViewed: () => undefined,
  renderNotificationClicked: () => undefined,
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

const profileMethods = [
  "setMultiValuesForKey",
  "addMultiValueForKey",
  "addMultiValuesForKey",
  "removeMultiValueForKey",
  "removeMultiValuesForKey",
  "removeValueForKey",
];

const responses = ["s", "tr", "enableWebPush"];

interface Target {
  [name: string]: unknown;
  readonly profile: Record<string, unknown>;
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
  api.getLocation = (latitude?: unknown, longitude?: unknown) => {
    const valid = (value: unknown, limit: number) => typeof value === "number" && Math.abs(value) <= limit;
    if (latitude !== undefined && !valid(latitude, 90)) return log.error("A valid lat and lng must be passed");
    if (longitude !== undefined && !valid(longitude, 180)) return log.error("A valid lat and lng must be passed");
    say("getLocation");
  };
  for (const name of profileMethods) {
    api.profile[name] = (key: unknown) => {
      if (typeof key !== "string" || !key) return log.error(name + " should be called with a key");
      say("profile." + name);
    };
  }
  for (const name of ["handleIncrementValue", "handleDecrementValue"]) {
    api.profile[name] = (key: unknown, by: unknown) => {
      if (typeof key !== "string" || !(typeof by === "number" && by > 0)) {
        return log.error(name + " should be called with a key and a number greater than zero");
      }
      say("profile." + name);
    };
  }
  for (const name of responses) api.responses[name] = () => say("$WZRK_WR." + name);
}
