// Runs the cases of cases.js against whatever window.clevertap is, and says what was
// recorded in a form that CleverTap's SDK and ours have in common.

import LZString from "lz-string";
import { scenarios } from "./cases.js";

const query = new URLSearchParams(location.search);
const scenario = scenarios[query.get("scenario")];
const ours = query.get("ours") === "1";
const account = [{ id: "JUDGED" }, "", query.get("endpoint")];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What belongs to which case: CleverTap's requests by their beginning, our entries. */
let current = 0;
const requests = new Map();
/** CleverTap's requests without an answer, and who it knows to be logged in. */
let made;
let waiting = [];
let known;
const logins = new Set();
const entries = [];
const sent = [];
const returned = [];
const thrown = [];

const { setItem } = Storage.prototype;
const counts = {};
Storage.prototype.setItem = function (name, value) {
  setItem.call(this, name, value);
  if (name === "WZRK_L") {
    waiting = Object.values(JSON.parse(decodeURIComponent(value)));
    for (const { q } of waiting) {
      const first = q.replace(/&s=\d+$/, ""); // added when it is sent again
      if (!requests.has(first)) requests.set(first, current);
    }
  } else if (name === "WZRK_K") {
    const { id } = JSON.parse(decodeURIComponent(value));
    if (id !== known && id !== undefined) logins.add(current);
    known = id;
  } else if (name.startsWith("webpush:queue:")) {
    const all = JSON.parse(value + "]}").events;
    for (const entry of all.slice(counts[name] ?? 0)) entries.push([current, entry]);
    counts[name] = all.length;
  }
};
const { fetch } = window;
const { sendBeacon } = Navigator.prototype;
const note = (url, body) => String(url).endsWith("/_webpush/events") && sent.push(...JSON.parse(body).events);
window.fetch = (url, options) => (note(url, options?.body), fetch(url, options));
Navigator.prototype.sendBeacon = function (url, body) {
  note(url, body);
  return sendBeacon.call(this, url, body);
};

/** Makes the stub as a page does. */
window.begin = () => {
  const stub = { event: [], profile: [], account: [], onUserLogin: [], notifications: [], privacy: [], ...scenario.stub };
  window.clevertap = made = stub;
  clevertap.account.push(...account);
  run(scenario.before ?? [], 0);
};

function run(cases, from) {
  cases.forEach(([, call], i) => one(call, from + i));
}

function one(call, i) {
  current = i;
  try {
    const value = call(window.clevertap);
    if (value !== undefined && value !== 0) returned.push([i, value]);
  } catch (error) {
    thrown.push([i, error.name]);
  }
}

/** Resolves when there is an SDK. */
const there = () => (ours ? clevertap !== made && clevertap.getAccountID?.() === "JUDGED" : clevertap.getCleverTapID?.());

window.judge = async () => {
  const before = scenario.before?.length ?? 0;
  while (!there()) await sleep(20);
  for (const [i, [, call]] of scenario.cases.entries()) {
    one(call, before + i);
    const busy = () => window.isOULInProgress || !clevertap.getCleverTapID() || (scenario.answered && waiting.length);
    for (let tries = 0; !ours && tries < 30 && busy(); tries++) await sleep(10);
    await sleep(0);
  }
  current = -1;
  clevertap.event.push("The end");
  if (ours) dispatchEvent(new PageTransitionEvent("pagehide"));
};

/** A value without what is nothing, and with its names in order. */
function normal(value) {
  if (Array.isArray(value)) return value.map(normal).filter((one) => one !== undefined);
  if (typeof value !== "object" || value === null) return value ?? undefined;
  const kept = Object.keys(value)
    .sort()
    .map((name) => [name, normal(value[name])])
    .filter(([, one]) => one !== undefined && !(typeof one === "object" && !Object.keys(one).length));
  return Object.fromEntries(kept);
}

const operation = (key, op, value) => ({ op, key, value: op === "delete" ? undefined : /cr$/.test(op) ? value : [value].flat() });

function fromRequest({ type, evtName, evtData, profile, isOUL, af }, login) {
  if (type === "event" && evtName !== "wzrk_fetch") return [{ event: evtName, props: evtData }];
  if (type !== "profile") return [];
  if ("ct_optout" in profile) return [{ optOut: profile.ct_optout }];
  const { Latitude, Longitude } = af ?? {};
  if (Latitude !== undefined) return [{ set: { Latitude, Longitude } }];
  const operations = Object.entries(profile).filter(([, value]) => Object.keys(value ?? {})[0]?.startsWith?.("$"));
  if (operations.length) return operations.map(([key, value]) => operation(key, Object.keys(value)[0].slice(1), Object.values(value)[0]));
  if (Object.keys(profile).join() === "tz") return [];
  const { Identity, Email, GPID, FBID } = profile;
  return [isOUL || login ? { login: [Identity, Email, GPID, FBID].filter(Boolean).map(String), set: profile } : { set: profile }];
}

function fromEntry({ type, name, props, set, ops, identities, value, device }) {
  if (type === "event") return [{ event: name, props }];
  if (type === "profile") return [...(set ? [{ set }] : []), ...(ops ?? []).map(({ key, op, value }) => operation(key, op, value))];
  if (type === "login") return [{ login: identities.map(({ value }) => value), set }];
  if (type === "optout") return [{ optOut: value }];
  if (type === "adopt" && device) return [{ alias: device }];
  return type === "logout" ? [{ logout: true }] : [];
}

function decoded(d) {
  const bytes = atob(d);
  let text = "";
  for (let i = 0; i < bytes.length; i += 2) text += String.fromCharCode((bytes.charCodeAt(i) << 8) | bytes.charCodeAt(i + 1));
  return JSON.parse(LZString.decompress(text));
}

/** What was recorded, by case: of CleverTap's what its endpoint was asked for (urls),
 * of ours what was posted. Complete is whether the end has come. */
window.recorded = (urls) => {
  const found = [];
  if (ours) {
    const posted = new Set(sent.map((entry) => JSON.stringify(entry)));
    for (const [i, entry] of entries) if (posted.has(JSON.stringify(entry))) found.push([i, fromEntry(entry)]);
  } else {
    for (const [q, i] of requests) {
      const url = urls.find((url) => url.startsWith(q));
      if (url) found.push([i, fromRequest(decoded(new URL(url).searchParams.get("d")), logins.has(i))]);
    }
    if (scenario.stub?.config) found.push([0, [{ alias: clevertap.getCleverTapID() }]]);
  }
  const cases = [...(scenario.before ?? []), ...scenario.cases].map(([name, , notes = {}], i) => ({
    name,
    ...notes,
    records: normal([
      ...found.filter(([of]) => of === i).flatMap(([, records]) => records),
      ...returned.filter(([of]) => of === i).map(([, value]) => ({ returned: value })),
      ...thrown.filter(([of]) => of === i).map(([, name]) => ({ throws: name })),
    ]).map((one) => JSON.stringify(one)),
  }));
  // What a stub holds is recorded when there is an SDK, not when it is called.
  const replayed = found.filter(([i]) => i === (scenario.before?.length ?? 0) - 1).flatMap(([, records]) => records);
  if (scenario.before) cases.splice(0, scenario.before.length, { name: "the stub's replay", ...scenario.notes, records: normal(replayed).map((one) => JSON.stringify(one)) });
  const all = !ours || scenario.dropped || found.length === entries.length;
  return { complete: all && found.some(([i, records]) => i < 0 && records[0]?.event === "The end"), calls: (scenario.before?.length ?? 0) + scenario.cases.length, cases };
};
window.names = Object.keys(scenarios);
