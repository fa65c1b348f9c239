import type { FaceKind, FaceOptions } from "../shared/face";
import type { Config } from "../shared/wire";
import type { PromptOptions } from "./api";
import { topicsOf } from "./topics";

/** The options of ui.js: the call's win over the site's. */
export function faceOptions(
  config: Config,
  kind: FaceKind,
  options: PromptOptions,
  answered: FaceOptions["answered"],
): FaceOptions {
  const { prompt = {}, icon, name, site } = config;
  // The site's texts are for the question; the other faces have their own.
  const siteTexts = kind === "dialog" || kind === "bar" || kind === "bell" ? prompt : {};
  const { title, body, accept, reject } = { ...siteTexts, ...defined(options) };
  return {
    kind,
    texts: { title, body, accept, reject },
    color: options.color || prompt.color,
    textColor: options.textColor || prompt.textColor,
    ariaAccept: options.ariaAccept,
    ariaReject: options.ariaReject,
    icon,
    name: name || site,
    topics: topicsOf(config),
    language: document.documentElement.lang || navigator.language,
    answered,
  };
}

/** Drops members that are missing or empty. */
const defined = (options: PromptOptions): PromptOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value));
