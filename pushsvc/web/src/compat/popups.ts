// CleverTap's functions that close pop-ups.

/** `$WZRK_WR.closeIframe(campaignId, divId)`: removes the wrapper with this id, which
 * closes its pop-up. Without such a wrapper it closes all open pop-ups. */
export function closeIframe(_campaign?: unknown, id?: unknown): void {
  const wrapper = typeof id === "string" ? document.getElementById(id) : null;
  if (wrapper) wrapper.remove();
  else for (const host of document.querySelectorAll(".webpush-popup:not(#webpush-inbox)")) host.remove();
}
