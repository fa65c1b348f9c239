import { ownURL } from "../shared/address";

/** Makes our manifest link lead to this origin. Browsers resolve it late, with the <base>
 * of that time, which a script may have added or which is in the body: the proxy sees
 * neither. If the proxy saw a <base>, both our addresses are absolute. A link of the page
 * itself is not in front of our script, or has another path. */
export function mendManifest(script: Element | null, path: string | undefined): void {
  const link = script?.previousElementSibling as HTMLLinkElement | null | undefined;
  if (!path || link?.rel !== "manifest" || link.getAttribute("href") !== path || !script!.getAttribute("src")?.startsWith("/")) return;
  const url = ownURL(path);
  if (link.href !== url) link.href = url;
}
