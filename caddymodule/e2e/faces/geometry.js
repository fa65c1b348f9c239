// Measures faces on display. Each fault is a text that names what is wrong and by
// how many pixels; no fault is an empty list.

const edge = 8; // least distance in px between text and the edge of its face
const rest = (ms) => new Promise((go) => setTimeout(go, ms));
const round = (n) => Math.round(n * 10) / 10;
const named = (node) => node.localName + (node.id ? "#" + node.id : node.className ? "." + node.className : "");
const overlap = (a, b) => Math.min(Math.min(a.right, b.right) - Math.max(a.left, b.left), Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));

/** The rectangles of all lines of text in a node that a visitor can see. */
function lines(node) {
	const out = [];
	const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const text = walker.currentNode;
		if (!text.data.trim() || !text.parentElement.checkVisibility({ visibilityProperty: true }) || text.parentElement.closest(".spoken")) continue;
		const range = document.createRange();
		range.selectNodeContents(text);
		for (const rect of range.getClientRects()) if (rect.width > 1 && rect.height > 1) out.push({ rect, text: text.data.trim().slice(0, 20) });
	}
	return out;
}

const scrollers = (dialog) => [dialog, ...dialog.querySelectorAll("*")].filter((node) => node.scrollHeight > node.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(node).overflowY));
const toEnd = (dialog, end) => scrollers(dialog).forEach((node) => (node.scrollTop = end ? node.scrollHeight : 0));

/** Whether a point of the screen is a node's. */
function hit(root, node, x, y) {
	if (document.elementFromPoint(x, y) !== root.host) return false;
	return node.contains(root.elementFromPoint(x, y));
}

/** In view with all of it, and not covered. */
function reachable(root, node, say) {
	const r = node.getBoundingClientRect();
	if (r.left < -0.5 || r.top < -0.5 || r.right > innerWidth + 0.5 || r.bottom > innerHeight + 0.5) {
		say(`${named(node)} is out of view: ${round(r.left)},${round(r.top)} to ${round(r.right)},${round(r.bottom)}`);
		return;
	}
	for (const [x, y] of [[0.5, 0.5], [0.5, 0.2], [0.5, 0.8], [0.2, 0.5], [0.8, 0.5]]) {
		if (!hit(root, node, r.left + x * r.width, r.top + y * r.height)) return say(`${named(node)} is covered at ${x},${y}`);
	}
}

function insideView(dialog, say) {
	const r = dialog.getBoundingClientRect();
	if (r.width < 24 || r.height < 24) say(`is ${round(r.width)} by ${round(r.height)}`);
	if (r.left < -0.5 || r.top < -0.5 || r.right > innerWidth + 0.5 || r.bottom > innerHeight + 0.5) {
		say(`is out of view: ${round(r.left)},${round(r.top)} to ${round(r.right)},${round(r.bottom)}`);
	}
	if (document.documentElement.scrollWidth > innerWidth) say("makes the page wider");
}

/** It opens at its top, and all of it can be scrolled to. */
function atItsTop(dialog, say) {
	for (const node of [dialog, ...dialog.querySelectorAll("*")]) {
		if (node.scrollTop) say(`${named(node)} opens at ${round(node.scrollTop)}`);
		const style = getComputedStyle(node);
		if (node.localName !== "iframe" && node.clientHeight && style.display !== "inline") {
			const hidden = node.scrollHeight - node.clientHeight;
			if (hidden > 1 && /hidden|clip/.test(style.overflowY) && !node.classList.contains("spoken")) say(`${named(node)} hides ${hidden} px`);
			if (node.scrollWidth > node.clientWidth + 1 && node.id !== "bell" && !node.classList.contains("spoken")) say(`${named(node)} is ${node.scrollWidth - node.clientWidth} px too wide`);
		}
	}
	for (const node of scrollers(dialog)) if (node.clientHeight < Math.min(72, innerHeight / 4)) say(`${named(node)} shows ${node.clientHeight} of ${node.scrollHeight} px`);
}

/** No text at an edge, at the top and at the end of what scrolls. */
function awayFromEdges(dialog, say) {
	const box = dialog.getBoundingClientRect();
	const inline = dialog.classList.contains("inline");
	const check = (what, distance) => {
		const [nearest] = lines(dialog).map((line) => ({ ...line, by: distance(line.rect) })).sort((a, b) => a.by - b.by);
		if (nearest?.by < edge - 0.5) say(`"${nearest.text}" is ${round(nearest.by)} px from the ${what} edge`);
	};
	toEnd(dialog, false);
	if (!inline) {
		check("left", (r) => r.left - box.left);
		check("right", (r) => box.right - r.right);
		check("top", (r) => r.top - box.top);
		toEnd(dialog, true);
		check("bottom", (r) => box.bottom - r.bottom);
		toEnd(dialog, false);
	}
	for (const node of dialog.querySelectorAll("button, .button, .option, #answer")) {
		const r = node.getBoundingClientRect();
		if (node.id === "all" || node.classList.contains("whole")) continue;
		for (const { rect, text } of lines(node)) {
			const by = Math.min(rect.left - r.left, r.right - rect.right);
			if (by < 6 || rect.top < r.top || rect.bottom > r.bottom + 0.5) say(`"${text}" is ${round(by)} px from the edge of ${named(node)}`);
		}
	}
}

/** The cross and what else floats lie over nothing that has a meaning. */
function coversNothing(dialog, say) {
	const cross = dialog.querySelector("#close");
	if (!cross?.querySelector("svg")) return;
	const r = cross.getBoundingClientRect();
	for (const { rect, text } of lines(dialog)) if (overlap(r, rect) > 0.5) say(`the cross is over "${text}"`);
	for (const node of dialog.querySelectorAll("a:not(.whole), button:not(.whole), input, label, iframe, .picture #image, #icon")) {
		if (node !== cross && overlap(r, node.getBoundingClientRect()) > 0.5) say(`the cross is over ${named(node)}`);
	}
	if (dialog.matches(".picture") && overlap(r, dialog.querySelector("#image").getBoundingClientRect()) > 0.5) say("the cross is over the picture");
}

function largeEnough(dialog, say) {
	for (const node of dialog.querySelectorAll("button, a, input, label")) {
		if (!node.checkVisibility() || (node.localName === "input" && node.closest("label"))) continue;
		const { width, height } = node.matches(".whole") ? dialog.getBoundingClientRect() : node.getBoundingClientRect();
		const main = node.matches("#accept, #reject, #submit, .button, #answer") || (node.id === "close" && node.textContent);
		const least = node.localName === "label" && !node.querySelector("input") ? 0 : main ? 44 : 24;
		if (width < Math.min(least, 24) || height < least - 0.5) say(`${named(node)} is ${round(width)} by ${round(height)}`);
	}
}

/** Every stop of the keyboard has a ring that is in sight. */
function rings(root, dialog, say) {
	const before = root.activeElement;
	for (const node of dialog.querySelectorAll("button, a, input")) {
		if (!node.checkVisibility()) continue;
		node.focus({ focusVisible: true });
		// Firefox leaves what is in view with a part of it.
		node.scrollIntoView({ block: dialog.id === "preferences" ? "center" : "nearest" });
		const whole = node.matches(".whole");
		const style = getComputedStyle(node, whole ? "::after" : undefined);
		const width = parseFloat(style.outlineWidth);
		if (!node.matches(":focus-visible")) say(`${named(node)} cannot be focused`);
		else if (style.outlineStyle === "none" || width < 2) say(`${named(node)} has no ring`);
		else if (!whole) {
			const out = width + parseFloat(style.outlineOffset);
			const r = node.getBoundingClientRect();
			let box = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
			for (let up = node.parentElement; up; up = up.parentElement) {
				if (getComputedStyle(up).overflowX === "visible") continue;
				const b = up.getBoundingClientRect();
				box = { left: Math.max(box.left, b.left), top: Math.max(box.top, b.top), right: Math.min(box.right, b.right), bottom: Math.min(box.bottom, b.bottom) };
			}
			// What is higher than its room cannot be in it.
			if (r.height > 0.7 * (box.bottom - box.top)) continue;
			if (dialog.id !== "preferences" && !hit(root, node, (r.left + r.right) / 2, (r.top + r.bottom) / 2)) say(`${named(node)} is covered when it has the focus`);
			const cut = Math.max(box.left - r.left, box.top - r.top, r.right - box.right, r.bottom - box.bottom) + out;
			if (cut > 0.6) say(`the ring of ${named(node)} is cut by ${round(cut)} px`);
		}
	}
	before?.focus({ preventScroll: true });
	toEnd(dialog, false);
}

/** Check boxes stand in columns, each beside the first line of its label. */
function aligned(dialog, say) {
	const labels = [...dialog.querySelectorAll("#topics label")].filter((label) => label.checkVisibility());
	const columns = new Map();
	const row = new Map();
	for (const label of labels) {
		const input = label.querySelector("input").getBoundingClientRect();
		const [first] = lines(label);
		const off = Math.abs((input.top + input.bottom) / 2 - (first.rect.top + first.rect.bottom) / 2);
		if (off > 2.5) say(`the box of "${first.text}" is ${round(off)} px off its line`);
		const y = Math.round(label.getBoundingClientRect().top);
		const place = row.get(y) ?? 0;
		row.set(y, place + 1);
		const x = columns.get(place) ?? input.left;
		columns.set(place, x);
		if (Math.abs(x - input.left) > 1) say(`the box of "${first.text}" is ${round(input.left - x)} px out of its column`);
	}
}

/** A full view is filled, or what it has stands in the middle. */
function composed(dialog, say) {
	if (!dialog.matches(".interstitial") || dialog.matches(".html") || scrollers(dialog).length) return;
	const box = dialog.getBoundingClientRect();
	const parts = [...lines(dialog.querySelector("#text")).map(({ rect }) => rect), ...[...dialog.querySelectorAll("#text > *, #image, .button, form")].map((node) => node.getBoundingClientRect())];
	const top = Math.min(...parts.map((r) => r.top)) - box.top;
	const bottom = box.bottom - Math.max(...parts.map((r) => r.bottom));
	if (bottom - top > box.height * 0.15) say(`is stacked at the top: ${round(top)} px above, ${round(bottom)} px below`);
}

/** Looks of buttons that say no, by which they are the same everywhere. */
window.noLooks = (root) =>
	[...root.querySelectorAll("#reject, .button:not(.main, .coupon), #buttons #close")].map((node) => {
		const style = getComputedStyle(node);
		return ["color", "backgroundColor", "borderTopLeftRadius", "borderTopWidth", "fontSize", "fontWeight", "fontFamily", "lineHeight", "letterSpacing", "minHeight", "paddingLeft", "paddingTop", "boxShadow", "textDecorationLine"].map((name) => name + ": " + style[name].replace(/[\d.]+(?=px)/, round)).join("; ");
	});

window.faultsOf = (root) => {
	const out = [];
	const say = (text) => out.push(text);
	const dialog = root.querySelector("dialog") ?? root.getElementById("preferences") ?? root.getElementById("bell");
	if (dialog.id !== "preferences") insideView(dialog, say);
	atItsTop(dialog, say);
	for (const node of dialog.querySelectorAll("#close, #reject, #accept")) reachable(root, node, say);
	if (dialog.id === "bell") reachable(root, dialog, say);
	if (dialog.id !== "bell") awayFromEdges(dialog, say);
	coversNothing(dialog, say);
	largeEnough(dialog, say);
	aligned(dialog, say);
	composed(dialog, say);
	rings(root, dialog, say);
	return out;
};

/** The coupon's button before, while it says "Copied", and after. */
window.couponFaults = async (root) => {
	const node = root.querySelector(".coupon");
	const size = () => ["width", "height"].map((side) => round(node.getBoundingClientRect()[side])).join(" by ");
	const [text, before] = [node.textContent, size()];
	node.click();
	for (let i = 0; i < 200 && node.textContent === text; i++) await rest(5);
	if (node.textContent === text) return ["the coupon was not copied"];
	const out = size() === before ? [] : [`the coupon's button was ${before}, is ${size()}`];
	const say = (fault) => out.push(fault);
	awayFromEdges(root.querySelector("dialog"), say);
	return out;
};

// As the visitor's own setting of a size of text would.
const large = new CSSStyleSheet();
large.replaceSync(":host, :host(#webpush-prompt) { font-size: 32px !important }");

/** Shows one face as it is when it has come to rest; false if it does not show. */
window.showOne = async ({ prompt, popup, open }, big) => {
	window.last?.close();
	document.querySelectorAll(".webpush-popup").forEach((host) => host.remove());
	window.last = undefined;
	localStorage.clear();
	if (prompt) face(prompt);
	else pop(popup);
	const shown = () => [...root.querySelectorAll("img")].every((i) => i.complete) && root.querySelector("dialog[open]:not(.waiting), #bell, #preferences");
	for (let i = 0; i < 1000 && !shown(); i++) await rest(5);
	if (!shown()) return false;
	if (open) {
		root.getElementById("bell").click();
		window.root = [...document.querySelectorAll(".webpush-popup, #webpush-prompt")].map((host) => host.shadowRoot).find((root) => root.querySelector("dialog[open]"));
	}
	if (big) root.adoptedStyleSheets = [...root.adoptedStyleSheets, large];
	root.getAnimations().forEach((animation) => animation.finish());
	// A frame tells its height again after the view has changed.
	if (root.querySelector("iframe")) await rest(60);
	return true;
};

/** Measures one face after the other. */
window.measureAll = async (list, big) => {
	const found = { faults: [], looks: [] };
	for (const face of list) {
		const say = (fault) => found.faults.push(face.name + ": " + fault);
		if (!(await showOne(face, big))) {
			say("does not show");
			continue;
		}
		faultsOf(root).forEach(say);
		found.looks.push(...noLooks(root).map((look) => face.name + ": " + look));
		if (root.querySelector(".coupon")) (await couponFaults(root)).forEach(say);
	}
	return found;
};
