// frame.js: runs in the frame of custom HTML before the HTML. It replaces the HTML's parent
// by a limited one, and reports its size and clicks.

import type { FrameMessage, FrameStart } from "../shared/popup";
import { watchClicks } from "./clicks";
import { standIn } from "./parent";

const page = window.parent;

/** Smallest height of HTML without a height of its own, in CSS px. */
const least = 20;

function start(from: FrameStart, port: MessagePort): void {
  let clicking: FrameMessage[] | undefined;
  const send = (message: FrameMessage) => port.postMessage(message);
  // The report of a click goes out before its effects: the page may be gone after them.
  const cause = (message: FrameMessage) => (clicking ? void clicking.push(message) : send(message));
  const close = (reason: "script" | "escape" = "script") => cause({ say: "close", reason });
  const names = from.trusted ? undefined : standIn(from, cause, () => close());
  const base = document.createElement("base");
  base.href = from.page;
  const html = from.html.replace(/\b(?:window\.)?top(?=\.(?:document|location|clevertap|wizrocket|\$WZRK_WR)\b)/g, "window.parent");
  // This removes all listeners, so ours follow.
  document.open();
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) close("escape");
  });
  watchClicks({
    begin: () => (clicking ??= []),
    end(click, needed) {
      const caused = clicking ?? [];
      clicking = undefined;
      // A click that does nothing but close is reported as a close.
      if (click && (needed || !caused.length || caused.some(({ say }) => say !== "close"))) {
        send(click);
        names?.clicked(click.props);
      }
      caused.forEach(send);
    },
  });
  document.write("<!DOCTYPE html>" + base.outerHTML + html);
  document.close();
  watchSize((height) => send({ say: "size", height }));
}

/** Reports the height of the content, now and when it changes. */
function watchSize(report: (height: number) => void): void {
  const measure = () => {
    const root = document.documentElement;
    const overflowing = root.scrollHeight > innerHeight ? root.scrollHeight : 0;
    report(Math.max(least, overflowing, Math.ceil(root.getBoundingClientRect().height)));
  };
  const observer = new ResizeObserver(measure);
  for (const node of [document.documentElement, document.body]) if (node) observer.observe(node);
  addEventListener("load", measure, true);
  measure();
}

addEventListener("message", function hear({ source, data, ports }: MessageEvent) {
  if (source !== page || (data as FrameStart | undefined)?.webpush !== "start" || !ports[0]) return;
  removeEventListener("message", hear);
  start(data as FrameStart, ports[0]);
});
if (page !== window) page.postMessage({ webpush: "ready" }, "*");
