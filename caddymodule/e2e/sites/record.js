// Takes note of what a visitor's console would show, and of what webpush does to
// the page. It is the first script of every page of the tests' sites.
window.seen = { errors: [], runs: 0, prompts: 0 };

addEventListener("error", (e) => {
  const from = e.target;
  if (from instanceof Element) seen.errors.push(`${from.localName} ${from.src || from.href} did not load`);
  else seen.errors.push(e.message);
}, true);
addEventListener("unhandledrejection", (e) => seen.errors.push(`unhandled: ${e.reason}`));
addEventListener("securitypolicyviolation", (e) => seen.errors.push(`${e.effectiveDirective} blocks ${e.blockedURI} ${e.sample}`));

// A script's load event comes after it has run, each time that it does. It does
// not reach the window.
document.addEventListener("load", (e) => {
  if (e.target.localName === "script" && /\/_webpush\/sdk\.js/.test(e.target.src)) seen.runs++;
}, true);
new MutationObserver((changes) => {
  for (const { addedNodes } of changes) {
    for (const node of addedNodes) if (node.id === "webpush-prompt") seen.prompts++;
  }
}).observe(document.documentElement, { childList: true });
