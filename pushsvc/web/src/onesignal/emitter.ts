// Listeners by the name of an event.

export type Listener = (detail: any) => unknown;

export class Emitter {
  private readonly listeners: [event: string, listener: Listener, once: boolean][] = [];

  on(event: string, listener: Listener, once = false): void {
    if (typeof listener === "function") this.listeners.push([event, listener, once]);
  }

  off(event: string, listener?: Listener): void {
    for (let i = this.listeners.length; i--; ) {
      const [name, known] = this.listeners[i]!;
      if (name === event && (!listener || known === listener)) this.listeners.splice(i, 1);
    }
  }

  emit(event: string, detail?: unknown): void {
    for (const [name, listener, once] of [...this.listeners]) {
      if (name !== event) continue;
      if (once) this.off(event, listener);
      attempt(() => listener(detail));
    }
  }
}

/** Runs the page's own code. The page's own error handling receives its mistake, and
 * nothing else stops. */
export function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    setTimeout(() => {
      throw error;
    });
    return undefined;
  }
}
