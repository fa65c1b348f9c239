// Custom HTML: a frame of an opaque origin, and what it may ask of the page.

import { frameCalls, type FrameCall, type FrameMessage, type FrameStart } from "../shared/popup";
import type { Kit } from "./kit";
import styles from "./more.css";
import type { Stage } from "./stage";

const sandbox = "allow-scripts allow-popups allow-popups-to-escape-sandbox allow-forms";

/** HTML that closes itself by one of these needs no cross of ours. */
const closesItself = /wizParDiv|intentPreview|intentOpacityDiv|wzrkImageOnlyDiv|wizAdvBuilder|closeIframe/;

/** How long the frame may take to answer in all, and after its load event, in ms. Its
 * message does not come with the event. */
const answerLimit = 20_000;
const answerLimitAfterLoad = 3_000;

export function addStyles(root: ShadowRoot): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles);
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
}

/** Fills a stage with the frame, which opens it when it knows its height. */
export function fillHTML(kit: Kit, stage: Stage): void {
  const { element: dialog, options } = stage;
  addStyles(stage.root);
  const { content, legacy, id } = options.popup;
  const msgId = legacy?.msgId ?? id;
  const html = (content.html ?? "").replace(/##campaignId(_batchId)?##/g, (_, batch) => (batch ? msgId : msgId.split("_")[0]!));
  const frame = kit.element("iframe", "frame");
  frame.title = content.title || options.site.name || location.hostname;
  dialog.setAttribute("aria-label", frame.title);
  const start: FrameStart = { webpush: "start", html, page: location.href, msgId, pivotId: legacy?.pivotId, kv: content.kv, trusted: content.trusted };
  connect(kit, stage, frame, start);
  load(kit, stage, frame, !!content.trusted);
  dialog.append(frame);
  if (!closesItself.test(html)) {
    dialog.append(stage.cross());
    dialog.classList.add("out");
  }
  stage.wait();
}

/** Loads the frame's document from the server, which sends it with its own policy. If that
 * does not load (another handler's header forbids framing), a srcdoc replaces it, which
 * has the page's policy. Trusted HTML has the page's origin and therefore its policy. */
function load({ ownURL }: Kit, stage: Stage, frame: HTMLIFrameElement, trusted: boolean): void {
  const { prefix, version } = stage.options;
  const inline = (isolated: boolean): boolean => {
    if (isolated) frame.setAttribute("sandbox", sandbox);
    const script = ownURL(`${prefix}/frame.js?v=${version}`).replace(/&/g, "&amp;").replace(/"/g, "&quot;");
    try {
      frame.srcdoc = trust(`<!DOCTYPE html><script src="${script}"></script>`);
      return true;
    } catch {
      return false; // Trusted Types without a policy for us
    }
  };
  const ready = () => !!frame.dataset.ready;
  const fallBack = () => {
    if (ready()) return;
    if (frame.dataset.second || !inline(true)) stage.fail("frame");
    frame.dataset.second = "1";
  };
  const later = (ms: number, then: () => void) => {
    const timer = setTimeout(then, ms);
    stage.atEnd(() => clearTimeout(timer));
  };
  frame.addEventListener("load", () => later(answerLimitAfterLoad, fallBack));
  frame.addEventListener("error", fallBack);
  later(answerLimit, () => ready() || stage.fail("frame"));
  if (trusted && inline(false)) return;
  frame.setAttribute("sandbox", sandbox);
  frame.src = ownURL(`${prefix}/frame.html?v=${version}`);
}

/** A site with Trusted Types has to allow the policy "webpush". */
function trust(html: string): string {
  type Factory = { createPolicy(name: string, rules: { createHTML(text: string): string }): { createHTML(text: string): string } };
  const factory = (window as { trustedTypes?: Factory }).trustedTypes;
  return factory ? factory.createPolicy("webpush", { createHTML: (text) => text }).createHTML(html) : html;
}

/** Sends the frame its HTML and a port. A document that the frame opens later has no port. */
function connect(kit: Kit, stage: Stage, frame: HTMLIFrameElement, start: FrameStart): void {
  const channel = new MessageChannel();
  const onMessage = ({ source, data }: MessageEvent) => {
    if (source !== frame.contentWindow || data?.webpush !== "ready" || frame.dataset.ready) return;
    frame.dataset.ready = "1";
    // An opaque origin cannot be named.
    frame.contentWindow!.postMessage(start, start.trusted && !frame.hasAttribute("sandbox") ? location.origin : "*", [channel.port2]);
  };
  addEventListener("message", onMessage);
  channel.port1.onmessage = ({ data }) => hear(kit, stage, frame, data as FrameMessage);
  stage.atEnd(() => {
    removeEventListener("message", onMessage);
    channel.port1.close();
  });
}

/** Acts on a message of the frame. The frame is not trusted: every value is checked. */
function hear(kit: Kit, stage: Stage, frame: HTMLIFrameElement, message: FrameMessage): void {
  const text = (value: unknown) => String(value ?? "").slice(0, 200);
  switch (message.say) {
    case "size":
      frame.style.height = Math.min(Math.max(Number(message.height) || 0, 20), 20_000) + "px";
      stage.open();
      return;
    case "close":
      stage.finish(message.reason === "escape" ? "escape" : "script");
      return;
    case "open":
      go(kit, stage, message.url, message.newTab);
      return;
    case "click": {
      const props = Object.fromEntries(Object.entries(message.props ?? {}).slice(0, 8).map(([key, value]) => [text(key), text(value)]));
      const url = kit.webURL(message.url);
      kit.perform(stage, url ? { do: "open", url, newTab: !!message.newTab } : {}, text(message.element), undefined, props);
      return;
    }
    case "call":
      call(stage, message.name, message.args);
  }
}

function go({ webURL }: Kit, { options }: Stage, address: string, newTab = false): void {
  const url = webURL(address);
  if (url) options.run({ do: "open", url, newTab: !!newTab }, options.popup.content.kv ?? {}, options.popup);
}

function call({ options }: Stage, name: string, args: unknown[]): void {
  if (!frameCalls.includes(name as FrameCall) || !Array.isArray(args)) return;
  if (options.call) {
    options.call(name as FrameCall, args, options.popup);
    return;
  }
  type Names = { [name: string]: Names } & ((...args: unknown[]) => void);
  let target: Names | undefined;
  let method = (window as unknown as { clevertap?: Names }).clevertap;
  for (const part of name.split(".")) [target, method] = [method, method?.[part]];
  method?.apply(target, args);
}
