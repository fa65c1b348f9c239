// Streams a page per request. The address says which: POST /release?id=x&part=first
// lets that part of GET /?id=x go. Prints its port.
import { createServer } from "node:http";
import { createElement as h } from "react";
import { renderToPipeableStream } from "react-dom/server";
import { makeApp } from "./app.js";

const visits = new Map();

function visit(id) {
  if (!visits.has(id)) {
    const parts = {}, ready = {};
    for (const part of ["first", "second"]) ready[part] = new Promise((release) => (parts[part] = release));
    visits.set(id, { parts, ready });
  }
  return visits.get(id);
}

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://site");
  if (request.method === "POST" && url.pathname === "/release") {
    visit(url.searchParams.get("id")).parts[url.searchParams.get("part")]();
    response.writeHead(204).end();
  } else if (url.pathname === "/") {
    const App = makeApp(visit(url.searchParams.get("id")).ready);
    const { pipe } = renderToPipeableStream(h(App), {
      bootstrapModules: ["/client.js"],
      onShellReady() {
        response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
        pipe(response);
      },
    });
  } else {
    response.writeHead(404, { "Content-Type": "text/plain" }).end("not found");
  }
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit()).resume(); // with whoever started it
