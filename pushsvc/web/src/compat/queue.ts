// Stubs are plain arrays, so the calls that came before the SDK are flattened in them:
// event.push("A", {x: 1}); event.push("B") is ["A", {x: 1}, "B"].

/** Reports whether a value is a string or a String object. */
export const isText = (value: unknown): boolean => typeof value === "string" || value instanceof String;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The event calls in a queue, each as [name] or [name, props]. Objects without a name in
 * front are dropped. */
export function pairEvents(queue: unknown[]): [string, Record<string, unknown>?][] {
  const calls: [string, Record<string, unknown>?][] = [];
  queue.forEach((name, i) => {
    if (!isText(name)) return;
    const props = queue[i + 1];
    calls.push(isObject(props) && !isText(props) ? [String(name), props] : [String(name)]);
  });
  return calls;
}

/** The calls of notifications.push in a queue. Each object is one call. A positional call
 * is four texts, then optionally a colour, a boolean and a number. */
export function splitPrompts(queue: unknown[]): unknown[][] {
  const calls: unknown[][] = [];
  for (let i = 0; i < queue.length; ) {
    const first = queue[i];
    if (isObject(first)) {
      calls.push([first]);
      i++;
      continue;
    }
    const call = queue.slice(i, i + 4);
    const end = call.findIndex(isObject);
    if (end > 0) call.length = end;
    i += call.length;
    const optional: ((value: unknown) => boolean)[] = [
      (value) => value == null || (typeof value === "string" && value.startsWith("#")),
      (value) => value == null || typeof value === "boolean",
      (value) => value == null || typeof value === "number",
    ];
    for (const fits of optional) {
      if (call.length < 4 || i >= queue.length || !fits(queue[i])) break;
      call.push(queue[i++]);
    }
    calls.push(call);
  }
  return calls;
}

/** The objects in a queue: the calls of profile, onUserLogin and privacy. */
export function objects(queue: unknown[]): Record<string, unknown>[] {
  return queue.filter(isObject);
}
