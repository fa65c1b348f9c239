//go:build e2e

package e2e

// compareScript compares documents in a browser.
const compareScript = `
// write serialises the parser's document, except for the nodes in without.
function write(doc, without = new Set()) {
	const out = [doc.compatMode, " ", doc.characterSet];
	const walk = (parent) => {
		let text = false;
		for (const n of parent.childNodes) {
			if (without.has(n)) continue;
			if (n.nodeType === Node.TEXT_NODE) { // join text that our tags split
				out.push(text ? "" : "\n#text ", n.data);
				text = true;
				continue;
			}
			text = false;
			out.push("\n<", n.nodeType, " ", n.nodeName, " ");
			if (n.nodeType === Node.DOCUMENT_TYPE_NODE) out.push(JSON.stringify([n.publicId, n.systemId]));
			else if (n.nodeType !== Node.ELEMENT_NODE) out.push(n.data);
			else {
				out.push(n.namespaceURI, n.localName);
				for (const a of n.attributes) out.push("\n@", a.namespaceURI, " ", a.name, "=", JSON.stringify(a.value));
				if (n.content instanceof DocumentFragment || n.content?.nodeType === Node.DOCUMENT_FRAGMENT_NODE) {
					out.push("\n#content");
					walk(n.content);
				}
				walk(n);
			}
			out.push("\n>");
		}
	};
	walk(doc);
	return out.join("");
}

// hash spares sending long texts to and fro: 53 bits of cyrb53.
function hash(text) {
	let a = 0xdeadbeef, b = 0x41c6ce57;
	for (let i = 0; i < text.length; i++) {
		const c = text.charCodeAt(i);
		a = Math.imul(a ^ c, 2654435761);
		b = Math.imul(b ^ c, 1597334677);
	}
	a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
	b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
	return 4294967296 * (2097151 & b) + (a >>> 0);
}

// hasManifest is whether the page has a manifest of its own.
const hasManifest = (doc) => !!doc.head?.querySelector('link[rel~="manifest" i]');

// has is whether an element has these attributes and no others; of an address
// the host may be written out.
const has = (e, want) => e.attributes.length === Object.keys(want).length &&
	Object.entries(want).every(([k, v]) => e.getAttribute(k)?.replace(/^\/\/[^/]+/, "") === v);

// ours finds our elements, and a complaint if they are not what they should be.
function ours(doc, ownManifest) {
	const scripts = [...doc.querySelectorAll("script")].filter((s) => has(s, {src: "/_webpush/sdk.js", defer: "defer"}));
	if (scripts.length !== 1) return {found: new Set(), complaint: scripts.length + " of our scripts"};
	const script = scripts[0], found = new Set([script]);
	const link = script.previousSibling;
	const isLink = link?.localName === "link" && has(link, {rel: "manifest", href: "/manifest.json"});
	if (isLink && !ownManifest) found.add(link);
	let complaint = "";
	if (script.parentNode !== doc.head || doc.head.parentNode !== doc.documentElement) complaint = "our script is in " + script.parentNode.nodeName;
	else if (script.textContent !== "") complaint = "our script has text";
	else if (!isLink && !ownManifest) complaint = "no link to our manifest";
	return {found, complaint};
}

// difference is where two documents part, "" if they don't.
function difference(a, b) {
	if (a === b) return "";
	let i = 0;
	while (a[i] === b[i]) i++;
	const near = (s) => JSON.stringify(s.slice(Math.max(i - 80, 0), i + 80));
	return "differs at " + i + ":\n\t\twithout us " + near(a) + "\n\t\twith us    " + near(b);
}

// judgeInFrame writes both documents of each pair into a frame.
async function judgeInFrame(pairs) {
	const frame = document.createElement("iframe");
	document.body.append(frame);
	const read = async (text) => {
		const doc = frame.contentDocument;
		doc.open();
		doc.write(text);
		doc.close();
		while (doc.readyState === "loading") await new Promise((done) => setTimeout(done));
		return doc;
	};
	const verdicts = [];
	for (const [original, changed] of pairs) {
		const plain = await read(original);
		const manifest = hasManifest(plain), before = write(plain);
		const touched = await read(changed);
		const {found, complaint} = ours(touched, manifest);
		verdicts.push(complaint || difference(before, write(touched, found)));
	}
	frame.remove();
	return verdicts;
}
`
