import { createElement as h } from "react";
import { hydrateRoot } from "react-dom/client";
import { makeApp } from "./app.js";

const now = Promise.resolve();
hydrateRoot(document, h(makeApp({ first: now, second: now })));
