// Functions that create elements. Text nodes only: no markup comes from outside.

import { webURL } from "../shared/address";

/** id is also the part name for the site's ::part() rules. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  id = "",
  className = "",
  text = "",
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  if (id) {
    node.id = id;
    node.part.add(id);
  }
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

export function button(id: string, label: string, click: () => void): HTMLButtonElement {
  const node = element("button", id, "", label);
  node.type = "button";
  node.addEventListener("click", click);
  return node;
}

/** The site's icon, or a bell if the site has no icon or it does not load. */
export function siteIcon(address: string | undefined): Element {
  const url = webURL(address);
  if (!url) return bell();
  const image = element("img", "", "icon");
  image.part.add("icon");
  image.alt = "";
  image.addEventListener("error", () => image.replaceWith(bell()), { once: true });
  image.src = url;
  return image;
}

/** A bell that rings once. */
export function bell(): Element {
  return drawing("icon", [
    "M12 3a6 6 0 0 0-6 6c0 3.4-.8 5.3-1.6 6.4A1 1 0 0 0 5.2 17h13.6a1 1 0 0 0 .8-1.6C18.8 14.3 18 12.4 18 9a6 6 0 0 0-6-6Z",
    "M10 20.5a2.3 2.3 0 0 0 4 0",
  ]);
}

/** The same bell, crossed out. */
export function mutedBell(): Element {
  return drawing("icon muted", [
    "M12 3a6 6 0 0 0-6 6c0 3.4-.8 5.3-1.6 6.4A1 1 0 0 0 5.2 17h13.6a1 1 0 0 0 .8-1.6C18.8 14.3 18 12.4 18 9a6 6 0 0 0-6-6Z",
    "M10 20.5a2.3 2.3 0 0 0 4 0M4 3l16 18",
  ]);
}

/** Apple's share icon: a box with an arrow out of its top. */
export function shareSign(): Element {
  return drawing("share", ["M8.5 9H6v11.5h12V9h-2.5M12 14.5V2.8M8.3 6.3 12 2.6l3.7 3.7"]);
}

function drawing(className: string, paths: string[]): Element {
  const make = (tag: string, attributes: Record<string, string>) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const name in attributes) node.setAttribute(name, attributes[name]!);
    return node;
  };
  const svg = make("svg", { viewBox: "0 0 24 24", class: className, part: className.split(" ")[0]!, "aria-hidden": "true" });
  const group = make("g", {});
  group.append(...paths.map((d) => make("path", { d })));
  svg.append(group);
  return svg;
}
