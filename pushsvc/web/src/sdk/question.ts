// The questions to the visitor: our own (the soft prompt) and the browser's.

import type { Answer, FaceKind, UI } from "../shared/face";
import type { Config } from "../shared/wire";
import type { EventName, Outcome, PromptOptions } from "./api";
import { faceOptions } from "./face";
import { load } from "./lazy";
import { trace } from "./log";
import { local } from "./storage";
import { supported } from "./support";
import { choose } from "./topics";

/** How long the page waits for an answer to the browser's question, in ms. Visitors
 * easily overlook it in some browsers. */
const questionLimit = 60_000;

/** What the questions need of the SDK. */
export interface Asker {
  readonly config: Config;
  emit(event: EventName, detail?: unknown): void;
  /** Reports a fault. */
  fail(error: unknown): void;
  prompt(): Promise<Outcome>;
  /** Subscribes; wanted: the visitor has just acted. */
  connect(wanted: boolean): Promise<Outcome>;
}

/** At most one soft prompt and one browser question are open. A second call resolves with
 * the answer to the first. */
export interface Question {
  /** Shows the soft prompt in place of the bell. */
  ask(kind: FaceKind | undefined, options: PromptOptions): Promise<Outcome>;
  /** Shows how to unblock notifications. */
  help(kind?: FaceKind): Promise<Outcome>;
  /** Opens the browser's question. Call it in the visitor's click: Firefox and Safari
   * refuse it after any await. */
  request(): Promise<Outcome>;
  /** The outcome of the browser's question while it is open. */
  requested(): Promise<Outcome> | undefined;
  /** Reports whether a question is open, ours or the browser's. The bell does not count. */
  open(): boolean;
  /** Reports whether the soft prompt, help or the bell shows. */
  showing(): boolean;
  /** Reports whether the bell shows. */
  bell(): boolean;
}

type Answered = (answer: Answer, topics?: string[]) => Outcome | Promise<Outcome>;

export function newQuestion(sdk: Asker): Question {
  const { config } = sdk;
  let shown: Promise<Outcome> | undefined;
  let requested: Promise<Outcome> | undefined;
  let closeBell: (() => void) | undefined;

  function refuse<Refusal extends "rejected" | "dismissed" | "denied">(outcome: Refusal): Refusal {
    local.set("asked", String(Date.now()));
    local.set("refusals", String((Number(local.get("refusals")) || 0) + 1));
    sdk.emit(outcome);
    return outcome;
  }

  function permissionDecided(permission: NotificationPermission): Outcome | Promise<Outcome> {
    trace("permission", permission);
    if (permission !== "granted") return refuse(permission === "denied" ? "denied" : "dismissed");
    local.remove("out");
    return sdk.connect(true);
  }

  async function openBrowserQuestion(): Promise<Outcome> {
    const answer = Notification.requestPermission().catch(() => Notification.permission);
    const permission = await Promise.race([answer, new Promise<void>((resolve) => setTimeout(resolve, questionLimit))]);
    if (permission) return permissionDecided(permission);
    // A late answer still counts.
    answer.then(permissionDecided);
    sdk.fail(Object.assign(new Error("unanswered: the browser's question is not answered"), { code: "unanswered" }));
    return "dismissed";
  }

  const request = (): Promise<Outcome> => (requested ??= openBrowserQuestion().finally(() => (requested = undefined)));

  async function show(kind: FaceKind, options: PromptOptions, answered: Answered): Promise<Outcome> {
    const { show } = await load<UI>(config, "ui");
    let asked: string;
    const permission = () => (supported() ? Notification.permission : "default");
    const before = permission();
    const closing = new AbortController();
    const { signal } = closing;
    return new Promise((resolve) => {
      const done = (outcome: Outcome | Promise<Outcome>) => {
        closing.abort();
        shown = closeBell = undefined;
        face?.close();
        resolve(outcome);
      };
      // The visitor may answer the question in another tab.
      const recheck = () => {
        const elsewhere = local.get("asked") !== asked;
        if (permission() === before && !elsewhere) return;
        face?.close();
        done(elsewhere ? "suppressed" : sdk.prompt());
      };
      const face = show(faceOptions(config, kind, options, (answer, topics) => done(answered(answer, topics))));
      if (!face) return done("unsupported");
      if (kind === "bell") closeBell = () => done("suppressed");
      document.addEventListener("visibilitychange", recheck, { signal });
      addEventListener("storage", recheck, { signal });
      if (kind !== "denied") sdk.emit("shown");
      asked = local.get("asked");
    });
  }

  const openFace = (kind: FaceKind, options: PromptOptions, answered: Answered): Promise<Outcome> =>
    (shown ??= show(kind, options, answered).catch((error): Outcome => {
      shown = undefined;
      sdk.fail(error);
      return "failed";
    }));

  return {
    request,
    requested: () => requested,
    open: () => !!((shown && !closeBell) || requested),
    showing: () => !!shown,
    bell: () => !!closeBell,
    help(kind = "denied") {
      closeBell?.();
      return openFace(kind, {}, () => "denied");
    },
    ask(kind, options) {
      if (closeBell) {
        closeBell();
        kind ??= "dialog";
      }
      // Runs in the visitor's click: nothing may come before request().
      return openFace(kind ?? config.prompt?.kind ?? "dialog", options, (answer, topics) => {
        if (answer !== "accept" || kind === "ios") return refuse(answer === "reject" ? "rejected" : "dismissed");
        const outcome = request();
        if (topics) choose(topics);
        sdk.emit("accepted");
        return outcome;
      });
    },
  };
}
