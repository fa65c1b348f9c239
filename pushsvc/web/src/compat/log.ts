// Console messages in CleverTap's form, which its users know.

/** 0 logs nothing, 1 errors, 2 information too, 3 and 4 everything. */
export type Level = 0 | 1 | 2 | 3 | 4;

const flag = "WZRK_D";

/** The log of one page. Errors go to the console's error channel. */
export class Log {
  private level: Level = 2;

  constructor(private readonly now: () => number = Date.now) {}

  /** Remembers level 3 for the tab session, as sessionStorage['WZRK_D']. */
  setLevel(level: unknown): void {
    const number = Number(level);
    if (!Number.isInteger(number) || number < 0 || number > 4) return this.error("Unable to set the log level", 0);
    this.level = number as Level;
    try {
      if (number === 3) sessionStorage.setItem(flag, "");
      else sessionStorage.removeItem(flag);
    } catch {
      // Storage is blocked: the level counts for this page only.
    }
  }

  error(text: string, code?: number): void {
    if (this.reaches(1)) console.error(`CleverTap error: ${code ? code + ": " : ""}${text}`);
  }

  info(text: string): void {
    if (this.reaches(2)) console.log(`CleverTap [${this.now()}]: ${text}`);
  }

  debug(text: string): void {
    if (this.reaches(3)) console.log(`CleverTap [${this.now()}]: ${text}`);
  }

  private reaches(level: Level): boolean {
    try {
      if (sessionStorage.getItem(flag) !== null) return true;
    } catch {
      // Storage is blocked: the level alone decides.
    }
    return this.level >= level;
  }
}
