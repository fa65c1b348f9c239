// The worker of a site that works offline, in the shape that Workbox's tools make.
import { clientsClaim } from "workbox-core";
import { precacheAndRoute } from "workbox-precaching";
import { registerRoute } from "workbox-routing";
import { NetworkFirst } from "workbox-strategies";

self.skipWaiting();
clientsClaim();
precacheAndRoute([
  { url: "/", revision: "1" },
  { url: "/about", revision: "1" },
  { url: "/record.js", revision: "1" },
]);
registerRoute(
  ({ request, url }) => request.mode === "navigate" && url.pathname.startsWith("/news/"),
  new NetworkFirst({ cacheName: "pages" }),
);
