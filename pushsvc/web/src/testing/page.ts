// The minimum of a page that the modules under test use.

/** A storage area in memory. */
export function storageArea(): Storage {
  const items = new Map<string, string>();
  return {
    get length() {
      return items.size;
    },
    clear: () => items.clear(),
    getItem: (name) => items.get(name) ?? null,
    key: (index) => [...items.keys()][index] ?? null,
    removeItem: (name) => void items.delete(name),
    setItem: (name, value) => void items.set(name, String(value)),
  };
}

/** Defines globals. */
export function define(globals: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
}

/** Collects the lines that run writes to the console. */
export function consoleOf(run: () => void): string[] {
  const lines: string[] = [];
  const { log, error } = console;
  console.log = (...words: unknown[]) => void lines.push(words.join(" "));
  console.error = (...words: unknown[]) => void lines.push("! " + words.join(" "));
  try {
    run();
  } finally {
    console.log = log;
    console.error = error;
  }
  return lines;
}
