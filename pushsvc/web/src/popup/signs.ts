// Small drawings, in the size and colour of their surroundings.

const paths = {
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  done: "M5 12.5l4.5 4.5L19 7.5",
  inbox: "M3.5 13 6 5.5h12l2.5 7.5v6h-17zM3.5 13H9c0 4 6 4 6 0h5.5",
};

export function sign(name: keyof typeof paths): Element {
  const make = (tag: string, attribute: string, value: string) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    node.setAttribute(attribute, value);
    return node;
  };
  const svg = make("svg", "viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(make("path", "d", paths[name]));
  return svg;
}
