// What the worker remembers: JSON in one cache, because workers have no other store that
// takes one line of code.

const cacheName = "webpush";

/** Returns what is remembered under a name, or otherwise. */
export async function recall<T>(name: string, otherwise: T): Promise<T> {
  const cached = await caches.match("/webpush-" + name, { cacheName });
  return cached ? cached.json() : otherwise;
}

export async function remember(name: string, value: unknown): Promise<void> {
  const cache = await caches.open(cacheName);
  await cache.put("/webpush-" + name, new Response(JSON.stringify(value)));
}

/** Forgets everything. */
export async function forget(): Promise<void> {
  await caches.delete(cacheName);
}
