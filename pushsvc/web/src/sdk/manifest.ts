import { ownURL } from "../shared/address";

/** Has our manifest link lead to this origin. Browsers resolve it when they get to
 * it, by the <base> of then, which a script may have made, or which stands in the
 * body: the proxy sees neither. Where it saw one, both our addresses are absolute. A
 * link of the page's own is not in front of our script, or has another path. */
export function mendManifest(script: Element | null, path: string | undefined): void {
  const link = script?.previousElementSibling as HTMLLinkElement | null | undefined;
  if (!path || link?.rel !== "manifest" || link.getAttribute("href") !== path || !script!.getAttribute("src")?.startsWith("/")) return;
  const url = ownURL(path);
  if (link.href !== url) link.href = url;
}
