/** Reports whether the focus is where keys enter text. Frames count, because their content
 * cannot be seen. */
export function isTyping(focused: Element | null): boolean {
  let node = focused;
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
  return (
    node instanceof HTMLElement &&
    (node.isContentEditable || /^(INPUT|TEXTAREA|SELECT|IFRAME)$/.test(node.tagName))
  );
}
