// CleverTap's ways to close pop-ups.

/** `$WZRK_WR.closeIframe(campaignId, divId)`: takes the wrapper away; its pop-up
 * notices. Without one, or with an id that nothing has, all that are open go. */
export function closeIframe(_campaign?: unknown, id?: unknown): void {
  const wrapper = typeof id === "string" ? document.getElementById(id) : null;
  if (wrapper) wrapper.remove();
  else for (const host of document.querySelectorAll(".webpush-popup:not(#webpush-inbox)")) host.remove();
}
