import type { SDK } from "../sdk/sdk";
import { ownURL } from "../shared/address";
import { batchBody, openTime, waitingBatches } from "../sdk/queue";
import { local } from "../sdk/storage";
import type { BatchName } from "../sdk/storage_keys";
import { type BatchResult, batchResult, pauseAfter } from "./batch_result";
import { adoptEntry } from "./adopt";
import { visitEntry, withoutQuery } from "./visit";

/** How long entries gather before they are sent, in ms. */
const gatherTime = 1000;

/** Another page's batch is closed after this time. */
const closedAfter = openTime + 2000;

/** The server counts nothing older. */
const week = 604_800_000;

const answerLimit = 30_000;

/** Sends the batches of this page, and those that other pages have left. */
export class Sender {
  /** The closed batches of this page by name; with the text only if storage is blocked. */
  private readonly closedBatches = new Map<BatchName, string>();
  private running = false;
  private flushAgain = false;
  private stopped = false;
  /** The page ends or sleeps: the SDK's beacon sends what it can. */
  private leaving = false;
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** A failed try is to be repeated; nothing is sent before that. */
  private pausing = false;

  constructor(private readonly sdk: SDK) {
    addEventListener("online", () => {
      this.tries = 0;
      this.flush();
    });
    addEventListener("pagehide", () => (this.leaving = true));
    addEventListener("pageshow", () => {
      this.leaving = false;
      if (waitingBatches().length) this.wake();
    });
    document.addEventListener("visibilitychange", () => {
      // The system may end a hidden page.
      if (document.visibilityState === "hidden" && !this.pausing) this.flush();
    });
  }

  /** Sends soon what was added. */
  wake(): void {
    this.recordAdoption();
    const landed = this.recordVisit();
    // The answer's cookie should be there before the next page.
    if (!this.pausing) this.flushIn(landed && this.sdk.config.watched ? 0 : gatherTime);
  }

  /** Records the visit once. Returns whether it did. */
  private recordVisit(): boolean {
    const visit = local.get("visit");
    const stamp = visit.split(" ")[0]!;
    if (stamp === local.get("told")) return false;
    local.set("told", stamp);
    // Queries carry tokens and names.
    local.set("visit", withoutQuery(visit));
    const entry = visitEntry(visit);
    return !!entry && this.sdk.record(entry);
  }

  /** Records once who the visitor was to another provider. */
  private recordAdoption(): void {
    const adopted = local.get("ct");
    if (!adopted || local.get("ctsent")) return;
    local.set("ctsent", "1");
    const entry = adoptEntry(adopted);
    if (entry) this.sdk.record(entry);
  }

  private flushIn(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), ms);
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.pausing = false;
    const { queue } = this.sdk;
    if (this.stopped || this.leaving || queue.held || navigator.onLine === false) return;
    const batch = queue.take();
    if (batch) this.closedBatches.set(batch.name, batch.stored ? "" : batch.text);
    if (this.running) {
      this.flushAgain = true;
      return;
    }
    this.running = true;
    this.flushAgain = false;
    withQueueLock(() => this.drain())
      .catch((error) => console.warn("webpush:", error))
      .then(() => {
        this.running = false;
        if (this.flushAgain) this.flush();
      });
  }

  /** Sends the batches in the order in which they were begun. */
  private async drain(): Promise<void> {
    for (;;) {
      const names = [...new Set([...waitingBatches(), ...this.closedBatches.keys()])].sort();
      const name = names[0];
      if (!name || this.sdk.queue.held) return;
      const age = Date.now() - parseInt(name.slice(6, 14), 36);
      const text = this.closedBatches.get(name) || local.get(name);
      if (!text || age > week) {
        this.forget(name);
        continue;
      }
      // Its page may still add to it. A time in the future means that the clock was set
      // back.
      if (!this.closedBatches.has(name) && age >= 0 && age < closedAfter) return this.flushIn(closedAfter - age);
      if (!this.act(await this.post(batchBody(text)), name)) return;
    }
  }

  /** Acts on the result of a batch. Returns true to go on with the next one. */
  private act([result, retryAfter]: [BatchResult, string | null], name: BatchName): boolean {
    if (result === "taken" || result === "refused") {
      if (result === "refused") console.warn("webpush: the server refused a batch of events; it was dropped");
      this.forget(name);
      this.tries = 0;
      return true;
    }
    if (result === "later") {
      this.pausing = true;
      this.flushIn(pauseAfter(++this.tries, retryAfter, Math.random()));
      return false;
    }
    this.stopped = true;
    if (result === "retired") waitingBatches().forEach((name) => this.forget(name));
    return false;
  }

  private async post(body: string): Promise<[BatchResult, string | null]> {
    const { config } = this.sdk;
    try {
      const response = await fetch(ownURL(config.prefix + "/events"), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body,
        credentials: "same-origin",
        // Outlives the page; engines take 64 KiB at once that way.
        keepalive: new Blob([body]).size < 60_000,
        signal: AbortSignal.timeout?.(answerLimit),
      });
      return [batchResult(response.status), response.headers.get("Retry-After")];
    } catch {
      return ["later", null];
    }
  }

  private forget(name: BatchName): void {
    this.closedBatches.delete(name);
    local.remove(name);
  }
}

/** How long to wait for another tab, in ms. */
const lockWait = 5000;

/** Runs action while no other tab sends. Two tabs that send the same batch only make more
 * work, because it counts once: so the wait is short, and a page that goes to sleep keeps
 * no lock. */
async function withQueueLock(action: () => Promise<void>): Promise<void> {
  if (!navigator.locks) return action();
  let began = false;
  const gone = new AbortController();
  const asleep = new Promise<void>((resolve) => addEventListener("pagehide", () => resolve(), { signal: gone.signal }));
  const run = () => {
    began = true;
    return Promise.race([action(), asleep]).finally(() => gone.abort());
  };
  try {
    await navigator.locks.request("webpush:queue", { signal: AbortSignal.timeout?.(lockWait) }, run);
  } catch (error) {
    if (began) throw error;
    await action();
  }
}
