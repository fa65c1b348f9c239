// What the worker remembers: JSON in one cache, because workers have no other store that
// takes one line of code.

import type { NotificationEventReport } from "../shared/wire";

const cacheName = "webpush";

/** The checks whether webpush is gone (leave.ts), in ms; 0 for never. */
export interface Note {
  /** The last check that ended with staying. */
  at: number;
  /** The first of the consecutive checks that found webpush gone. */
  since: number;
}

/** The values by name. The names are in browsers' caches already. */
export interface Remembered {
  note: Note;
  /** Reports that the server did not take, the oldest first. */
  reports: NotificationEventReport[];
}

/** Returns what is remembered under a name, or otherwise. */
export async function recall<Name extends keyof Remembered>(name: Name, otherwise: Remembered[Name]): Promise<Remembered[Name]> {
  const cached = await caches.match("/webpush-" + name, { cacheName });
  return cached ? cached.json() : otherwise;
}

export async function remember<Name extends keyof Remembered>(name: Name, value: Remembered[Name]): Promise<void> {
  const cache = await caches.open(cacheName);
  await cache.put("/webpush-" + name, new Response(JSON.stringify(value)));
}

/** Forgets everything. */
export async function forget(): Promise<void> {
  await caches.delete(cacheName);
}
