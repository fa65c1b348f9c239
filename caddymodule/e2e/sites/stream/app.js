// A page in React, streamed as Next.js does it: the whole document is React's,
// and slow parts come when they are ready.
import { createElement as h, lazy, Suspense, useState } from "react";

function Counter() {
  const [n, setN] = useState(0);
  return h("button", { id: "count", onClick: () => setN(n + 1) }, `Count ${n}`);
}

// slow is a part that can be rendered when ready is.
const slow = (ready, name) =>
  lazy(() => ready.then(() => ({ default: () => h("p", { id: name }, `The ${name} part`) })));

export function makeApp(ready) {
  const first = slow(ready.first, "first");
  const second = slow(ready.second, "second");
  return function App() {
    return h("html", { lang: "en" },
      h("head", null,
        h("meta", { charSet: "utf-8" }),
        h("title", null, "Streamed"),
        h("script", { src: "/record.js" })),
      h("body", null,
        h("h1", null, "Streamed"),
        h(Counter),
        h(Suspense, { fallback: h("p", { id: "waiting-first" }, "…") }, h(first)),
        h(Suspense, { fallback: h("p", { id: "waiting-second" }, "…") }, h(second))));
  };
}
