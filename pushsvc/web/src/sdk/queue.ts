import type { Entry } from "../shared/entries";
import { local, storedNames } from "./storage";
import type { BatchName } from "./storage_keys";
import { randomId } from "./visit";

/** How long a page adds to a batch, in ms. Any page may send an older one. */
export const openTime = 8000;

/** How many characters may wait, in all tabs and pages together. */
const mostCharacters = 60_000;

/** Names of the batches that wait, the oldest first: a name begins with its time. */
export const waitingBatches = () => storedNames("localStorage", "queue:") as BatchName[];

/** A batch as it is sent. */
export function batchBody(text: string): string {
  return `${text}],"sent":${Date.now()}}`;
}

/** A batch to which this page adds: its name, and its text without the end. stored is false
 * if the visitor blocks site data. */
export interface OpenBatch {
  name: BatchName;
  text: string;
  stored: boolean;
}

/** The batches of this page. A batch is stored as it is sent, except for its end, under a
 * name that no other page uses. So two tabs lose nothing to each other, and a batch is
 * sent again under the same id until the server has it, even if its page is gone. Without
 * storage a batch lasts as long as the page. */
export class Queue {
  /** Entries are kept, but not sent. */
  held = false;
  /** The visit's id if storage is blocked: this page is then a visit of its own. */
  private readonly pageSession = randomId();
  /** What the page's first requests have in common: the server makes the cookie from it, so
   * that they belong to one visitor. Only batches that wait store it. */
  readonly seed = randomId();
  private opened = 0;
  private count = 0;
  batch: OpenBatch | undefined;

  /** Adds an entry. Returns false if too much waits already. */
  add(entry: Entry): boolean {
    const now = Date.now();
    const line = JSON.stringify({ time: now, ...entry });
    let { batch } = this;
    if (batch?.stored && (this.count > 199 || batch.text.length > 15_000 || now - this.opened > openTime)) batch = undefined;
    const size = waitingBatches().reduce((sum, name) => sum + local.get(name).length, line.length);
    if (size > mostCharacters || (batch && this.count > 199)) return false;
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

  /** The visit's id at the server. */
  session(): string {
    return local.get("session") || this.pageSession;
  }

  /** Closes the page's own batch and returns it, if there is one. */
  take(): OpenBatch | undefined {
    const { batch } = this;
    this.batch = undefined;
    return batch;
  }
}
