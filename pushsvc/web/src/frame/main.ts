// frame.js: what stands in the frame of custom HTML before the HTML does. It
// gives the HTML a parent that it may use, and reports sizes and clicks.

import type { FrameMessage, FrameStart } from "../shared/popup";
import { watchClicks } from "./clicks";
import { standIn } from "./parent";

const page = window.parent;

/** How far HTML that has no height of its own may be told to grow, in CSS px. */
const least = 20;

function start(from: FrameStart, port: MessagePort): void {
  let clicking: FrameMessage[] | undefined;
  const send = (message: FrameMessage) => port.postMessage(message);
  // In a click, its report goes out before what it causes: the page may be gone
  // then.
  const cause = (message: FrameMessage) => (clicking ? void clicking.push(message) : send(message));
  const close = (reason: "script" | "escape" = "script") => cause({ say: "close", reason });
  const names = from.trusted ? undefined : standIn(from, cause, () => close());
  const base = document.createElement("base");
  base.href = from.page;
  const html = from.html.replace(/\b(?:window\.)?top(?=\.(?:document|location|clevertap|wizrocket|\$WZRK_WR)\b)/g, "window.parent");
  // This takes all listeners away: ours come after it.
  document.open();
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) close("escape");
  });
  watchClicks({
    begin: () => (clicking ??= []),
    end(click, needed) {
      const caused = clicking ?? [];
      clicking = undefined;
      // A click that does nothing but close is told as that.
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

/** Tells the height of what there is, now and when it changes. */
function watchSize(tell: (height: number) => void): void {
  const measure = () => {
    const root = document.documentElement;
    const overflowing = root.scrollHeight > innerHeight ? root.scrollHeight : 0;
    tell(Math.max(least, overflowing, Math.ceil(root.getBoundingClientRect().height)));
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
