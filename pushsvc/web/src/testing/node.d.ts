// The part of Node that the tests use, so that they need no npm package.

declare module "node:test" {
  export function test(name: string, body: () => void | Promise<void>): void;
}

declare module "node:fs" {
  export function readFileSync(path: string, encoding: "utf8"): string;
  export function readdirSync(path: string, options: { recursive: true }): string[];
}

declare module "node:assert/strict" {
  const assert: {
    equal(actual: unknown, expected: unknown, message?: string): void;
    notEqual(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    throws(body: () => unknown): void;
    rejects(promise: Promise<unknown>): Promise<void>;
    ok(value: unknown, message?: string): void;
  };
  export default assert;
}

/** Runs after everything that is due by now. */
declare function setImmediate(run: (value?: unknown) => void): void;
