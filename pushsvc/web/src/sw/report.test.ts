import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config, EventsRequest, NotificationData } from "../shared/wire";
import { report, reportRest } from "./report";

const config = { prefix: "/_webpush", key: "AQID" } as Config;
const about = (message: string): NotificationData => ({ webpush: true, url: "", actions: {}, message, token: "t", data: null });

/** A worker's scope with a cache and a server with these answers, one per request; what the
 * server received, and the tags registered for Background Sync. */
function scope(...answers: (number | Error)[]) {
  const cache = new Map<string, Response>();
  const sent: string[][] = [];
  const syncs: string[] = [];
  Object.assign(globalThis, {
    location: new URL("https://site.example/sw.js"),
    self: { registration: { sync: { register: async (tag: string) => void syncs.push(tag) } } },
    caches: {
      match: async (name: string) => cache.get(name)?.clone(),
      open: async () => ({ put: async (name: string, value: Response) => void cache.set(name, value) }),
      delete: async () => cache.clear(),
    },
    fetch: async (url: string, { body }: { body: string }) => {
      assert.equal(url, "https://site.example/_webpush/events");
      sent.push((JSON.parse(body) as EventsRequest).events.map((event) => event.type + " " + event.message + (event.action ?? "")));
      const answer = answers.shift() ?? 204;
      if (answer instanceof Error) throw answer;
      return new Response(answer === 204 ? null : "{}", { status: answer, headers: { "Retry-After": "0.01" } });
    },
  });
  return { cache, sent, syncs };
}

test("a report that was taken leaves nothing", async () => {
  const { cache, sent, syncs } = scope();
  await report(config, "clicked", about("m"), "buy");
  assert.deepEqual([sent, syncs, cache.size], [[["clicked mbuy"]], [], 0]);
});

test("a report that the server did not take goes with the next one", async () => {
  const offline = new TypeError("offline");
  const { cache, sent, syncs } = scope(503, 503, 503, offline, offline, offline);
  await report(config, "shown", about("1"));
  await report(config, "shown", about("2"));
  assert.deepEqual(syncs, ["webpush", "webpush"]);
  assert.equal(cache.size, 1);
  await report(config, "closed", about("2"));
  assert.deepEqual(sent[sent.length - 1], ["shown 1", "shown 2", "closed 2"]);
  assert.equal(cache.size, 0);
});

test("Background Sync sends what is left, and rejects to be called again", async () => {
  const { cache, sent } = scope(503, 503, 503, 503, 204);
  await report(config, "shown", about("1"));
  await assert.rejects(reportRest(config));
  assert.equal(cache.size, 1);
  await reportRest(config);
  assert.deepEqual([sent[sent.length - 1], cache.size], [["shown 1"], 0]);
  const before = sent.length;
  await reportRest(config);
  assert.equal(sent.length, before);
});

test("a refused report is not sent again", async () => {
  const { cache, syncs } = scope(400);
  await report(config, "shown", about("1"));
  assert.deepEqual([cache.size, syncs], [0, []]);
});

test("no more than fifty are kept", async () => {
  const { cache, sent } = scope();
  cache.set("/webpush-reports", new Response(JSON.stringify(Array.from({ length: 60 }, (_, i) => ({ type: "shown", message: String(i) })))));
  await report(config, "shown", about("new"));
  assert.equal(sent[0]?.length, 50);
  assert.equal(sent[0]?.slice(-1)[0], "shown new");
});

test("blocked storage does not hold a report up", async () => {
  const { sent } = scope();
  const fail = async () => Promise.reject(new DOMException("", "SecurityError"));
  Object.assign(globalThis, { caches: { match: fail, open: fail, delete: fail } });
  await report(config, "shown", about("1"));
  assert.deepEqual(sent, [["shown 1"]]);
});

test("a foreign push is not reported", async () => {
  const { sent } = scope();
  await report(config, "shown", about(""));
  assert.deepEqual(sent, []);
});
