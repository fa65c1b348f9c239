/** Whether the focus is somewhere where keys make text, frames included: what
 * goes on in a frame cannot be seen. */
export function isTyping(focused: Element | null): boolean {
  let node = focused;
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
  return (
    node instanceof HTMLElement &&
    (node.isContentEditable || /^(INPUT|TEXTAREA|SELECT|IFRAME)$/.test(node.tagName))
  );
}
