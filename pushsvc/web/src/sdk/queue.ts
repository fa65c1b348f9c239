import type { Entry } from "../shared/entries";
import { local, storedNames } from "./storage";
import type { BatchName } from "./storage_keys";
import { randomId } from "./visit";

/** A page adds to a batch no longer than this, in ms: what is older is nobody's, and
 * whoever comes may send it. */
export const openFor = 8000;

/** Characters that wait at most, of all tabs and pages together. */
const room = 60_000;

/** Names of the batches that wait, the oldest first: a name begins with its time. */
export const waiting = () => storedNames("localStorage", "queue:") as BatchName[];

/** A batch as it is sent. */
export function closed(text: string): string {
  return `${text}],"sent":${Date.now()}}`;
}

/** What a page has added to the queue: its name there, without `webpush:`, and its
 * text but for the end. stored is false where site data is blocked. */
export interface OpenBatch {
  name: BatchName;
  text: string;
  stored: boolean;
}

/** What this page adds to the queue. A batch is written as it is sent, but for its
 * end, under a name that no other page has: so nothing is lost between two tabs,
 * and what was sent once is sent again under the same id until the server has it,
 * whatever became of the page. Without storage it lasts as long as the page. */
export class Queue {
  /** Nothing leaves, but it is kept. */
  held = false;
  /** Where storage is blocked, this page is a visit of its own. */
  private readonly alone = randomId();
  /** What the page's first requests have in common: without a cookie yet, they are
   * one visitor's by it. Nothing keeps it but batches that wait. */
  readonly seed = randomId();
  private opened = 0;
  private count = 0;
  batch: OpenBatch | undefined;

  /** Adds an entry; false where too much waits already. */
  add(entry: Entry): boolean {
    const now = Date.now();
    const line = JSON.stringify({ time: now, ...entry });
    let { batch } = this;
    if (batch?.stored && (this.count > 199 || batch.text.length > 15_000 || now - this.opened > openFor)) batch = undefined;
    const size = waiting().reduce((sum, name) => sum + local.get(name).length, line.length);
    if (size > room || (batch && this.count > 199)) return false;
    if (!batch) {
      const id = randomId();
      this.opened = now;
      this.count = 0;
      batch = { name: `queue:${now.toString(36)}${id}`, text: `{"batch":"${id}","session":"${this.session()}","seed":"${this.seed}","events":[`, stored: false };
    }
    batch.text += (this.count++ ? "," : "") + line;
    local.set(batch.name, batch.text);
    batch.stored = local.get(batch.name) === batch.text;
    this.batch = batch;
    return true;
  }

  /** Names the visit to the server. */
  session(): string {
    return local.get("session") || this.alone;
  }

  /** Ends the page's own batch and gives it, if there is one. */
  take(): OpenBatch | undefined {
    const { batch } = this;
    this.batch = undefined;
    return batch;
  }
}
