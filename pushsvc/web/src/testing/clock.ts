// A clock that moves only by advance.

type Timer = { id: number; at: number; run: () => void };

const realTimeout = globalThis.setTimeout;

/** Runs what is ready: promises, and answers of fakes. */
export async function runPending(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => void realTimeout(resolve));
}

/** Replaces Date.now, setTimeout and clearTimeout. */
export class Clock {
  private timers: Timer[] = [];
  private ids = 0;

  constructor(public now = 1_800_000_000_000) {
    Date.now = () => this.now;
    globalThis.setTimeout = ((run: () => void, ms = 0) => {
      this.timers.push({ id: ++this.ids, at: this.now + ms, run });
      return this.ids;
    }) as unknown as typeof setTimeout;
    globalThis.clearTimeout = ((id: number) => {
      this.timers = this.timers.filter((timer) => timer.id !== id);
    }) as typeof clearTimeout;
  }

  /** Moves on, and runs what falls due on the way. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    await runPending();
    for (;;) {
      const [next] = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.now = Math.max(this.now, next.at);
      next.run();
      await runPending();
    }
    this.now = end;
  }
}
