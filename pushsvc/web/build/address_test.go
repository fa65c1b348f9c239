package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

// ownURL or webURL (src/shared/address.ts) makes every address that a browser
// receives, in place or in a const of the same file: a relative address follows the
// page's <base>, which may name another host.

// uses match code that passes an address to the browser; the submatch is the address.
var uses = []*regexp.Regexp{
	regexp.MustCompile(`\bfetch\b\(?(.*)`),
	regexp.MustCompile(`\bsendBeacon\b\(?(.*)`),
	regexp.MustCompile(`\bserviceWorker\??\.(?:register|getRegistration)\b\(?(.*)`),
	regexp.MustCompile(`\bscope: (.*)`), // of register
	regexp.MustCompile(`\bimport\((.*)`),
	regexp.MustCompile(`\.(?:src|srcset|href|action|formAction|poster|background|cite|longDesc|ping|codebase)\s*[?|&]*=\s*([^=].*)`),
	regexp.MustCompile(`(?i)\bsetAttribute(?:NS)?\((?:[^")]*, *)?"(?:src|srcset|href|xlink:href|action|formaction|poster|data|background|cite|ping|style)", *(.*)`),
	regexp.MustCompile(`\bsetAttribute(?:NS)?\(([^"].*)`), // a name that is not written out
	regexp.MustCompile(`\bwindow\.open\b\(?(.*)`),
	regexp.MustCompile(`\bopenWindow\b\(?(.*)`),
	regexp.MustCompile(`\.navigate\((.*)`),
	regexp.MustCompile(`\blocation\.(?:assign|replace)\b\(?(.*)`),
	regexp.MustCompile(`\blocation\s*=\s*([^=].*)`),
	regexp.MustCompile(`\b(?:pushState|replaceState)\b\(?(.*)`),
	regexp.MustCompile(`\b((?:new (?:Image|Audio|Worker|SharedWorker|EventSource|WebSocket|WebTransport|Request|XMLHttpRequest)|importScripts|addModule)\b.*)`),
	regexp.MustCompile(`\bcaches\.(?:match|add|addAll)\b\(?(.*)`),
	regexp.MustCompile(`\bcache\.(?:match|put|add|addAll)\b\(?(.*)`),
	regexp.MustCompile(`(\bbaseURI\b.*)`),
	regexp.MustCompile(`(\burl\(.*)`),                                  // in a style
	regexp.MustCompile(`(@import\b.*)`),                                // of a style sheet
	regexp.MustCompile(`\bnew URL\(([^,()]*(?:\([^()]*\))?[^,()]*)\)`), // without the address that it is relative to
	regexp.MustCompile(`\.srcdoc\s*=\s*(.*)`),
}

// allowed are exceptions, as file and beginning of the code, and why.
var allowed = map[string]string{
	`frame/main.ts base.href = from.page`:                            "the page's address, for the frame's own base",
	`frame/parent.ts new URL(page)`:                                  "absolute: the page's address",
	`frame/parent.ts const location = place(`:                        "a stand-in; the page opens its addresses by webURL",
	`frame/parent.ts const location = { assign: open`:                "the same",
	`popup/html.ts frame.srcdoc = trust(`:                            "ownURL makes its one address",
	`popup/main.ts import(address)`:                                  "of a module: relative to the module itself",
	`popup/main.ts new URL(import.meta.url)`:                         "absolute",
	`popup/signs.ts node.setAttribute(attribute, value)`:             "drawings",
	`sdk/worker.ts serviceWorker.register(scriptURL(config, ownURL(`: "a Trusted Types object of ownURL's result",
	`sdk/worker.ts new URL(url)`:                                     "absolute: a worker's address",
	`shared/onsite.ts new URL(page.referrer)`:                        "absolute",
	`sw/clients.ts new URL(url)`:                                     "absolute: payload.ts made it",
	`sw/clients.ts new URL(candidate.url)`:                           "absolute: a tab's address",
	`sw/report.ts event.action = action`:                             "which button it was",
	`sw/main.ts tab.navigate(url)`:                                   "absolute: payload.ts made it",
	`sw/main.ts self.clients.openWindow(url || ownURL(`:              "absolute: payload.ts made it",
	`sw/memory.ts caches.match("/webpush-`:                           "a name in our own cache; workers have no <base>",
	`sw/memory.ts cache.put("/webpush-`:                              "the same",
	`track/visit.ts new URL(text)`:                                   "absolute",
	`ui/elements.ts node.setAttribute(name, attributes[name])`:       "drawings",
	`ui/main.ts import(address)`:                                     "of a module: relative to the module itself",
	`ui/main.ts new URL(import.meta.url)`:                            "absolute",
}

// made matches a call that makes an address; given matches a name in its place.
var (
	made  = regexp.MustCompile(`^(?:kit\.)?(?:ownURL|webURL)\(`)
	given = regexp.MustCompile(`^(\w+)\b[^.(\[]`)
)

// rawUses returns the uses in a source whose address neither function made, each as
// its line.
func rawUses(source string) []string {
	var raw []string
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		for _, use := range uses {
			for _, at := range use.FindAllStringSubmatchIndex(line, -1) {
				address := line[at[2]:at[3]]
				if made.MatchString(address) {
					continue
				}
				name := given.FindStringSubmatch(address + ";")
				if name != nil && regexp.MustCompile(`const `+name[1]+` = (?:kit\.)?(?:ownURL|webURL)\(`).MatchString(source) {
					continue
				}
				raw = append(raw, line)
			}
		}
	}
	return raw
}

// bare returns a source without types and comments, one statement a line.
func bare(t *testing.T, source []byte, loader api.Loader) string {
	t.Helper()
	result := api.Transform(string(source), api.TransformOptions{Loader: loader, LegalComments: api.LegalCommentsNone, Target: api.ESNext})
	if len(result.Errors) > 0 {
		t.Fatal(result.Errors)
	}
	return string(result.Code)
}

func TestAddresses(t *testing.T) {
	needless := make(map[string]bool)
	for entry := range allowed {
		needless[entry] = true
	}
	files := 0
	err := filepath.WalkDir("../src", func(path string, _ fs.DirEntry, err error) error {
		name := strings.TrimPrefix(filepath.ToSlash(path), "../src/")
		loader := map[string]api.Loader{".ts": api.LoaderTS, ".css": api.LoaderCSS}[filepath.Ext(name)]
		if err != nil || loader == api.LoaderNone || strings.HasSuffix(name, ".test.ts") || strings.HasPrefix(name, "testing/") || name == "shared/address.ts" {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading a source: %w", err)
		}
		files++
	raw:
		for _, line := range rawUses(bare(t, source, loader)) {
			for entry := range allowed {
				file, use, _ := strings.Cut(entry, " ")
				if file == name && strings.Contains(line, use) {
					delete(needless, entry)
					continue raw
				}
			}
			t.Errorf("%s: make the address by ownURL or webURL: %s", name, line)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Errorf("only %d files were looked at", files)
	}
	for entry := range needless {
		t.Errorf("nothing needs the exception for %q", entry)
	}
}

// TestRawUses lists code that TestAddresses must find, and code that it must not.
func TestRawUses(t *testing.T) {
	for _, source := range []string{
		`await fetch(config.prefix + "/events", {})`, `const ask = fetch; ask("/x")`, `fetch("/_webpush/x")`, "fetch(`${prefix}/x`)",
		`navigator.sendBeacon(path)`, `navigator.serviceWorker.register(config.worker, { scope: ownURL("/") })`,
		`navigator.serviceWorker.register(ownURL(config.worker), { scope: "/" })`, `navigator.serviceWorker.getRegistration(scope)`,
		`import("/_webpush/x.js")`, `image.src = icon`, `link.href ??= path`, `form.action = "/x"`, `node.setAttribute("src", path)`, `node.setAttribute(name, path)`,
		`node.setAttributeNS(null, "href", path)`, `frame.srcdoc = html`, `window.open(path)`, `location.assign(path)`, `location = path`, `location.href = path`,
		`clients.openWindow(path)`, `tab.navigate(path)`, `history.pushState(null, "", path)`, `new Image().alt = ""`, `new Worker(path)`, `new EventSource(path)`,
		`new XMLHttpRequest()`, `importScripts(path)`, `new URL(path, document.baseURI)`, `new URL(path)`, `new URL(f(path))`,
		`const css = "a { background: url(/x.png) }"`, `const css = "@import '/x.css'"`, `cache.put("/x", answer)`,
		// A const of another name, and a name that changes.
		`const good = ownURL("/x"); fetch(bad)`, `let url = ownURL("/x"); url = "/y"; fetch(url)`,
	} {
		if got := rawUses(bare(t, []byte(source), api.LoaderTS)); len(got) == 0 {
			t.Errorf("not found: %s", source)
		}
	}
	for _, source := range []string{
		`fetch(ownURL(config.prefix + "/events"), {})`, `image.src = webURL(icon)`, `const url = webURL(icon); image.src = url`, `import(ownURL(path))`,
		`navigator.serviceWorker.register(ownURL(worker), { scope: ownURL(scope) })`, `const url = webURL(x); if (url) window.open(url, "_blank")`,
		`if (link.href === url) done()`, `new URL(path, location.origin)`, `node.setAttribute("role", "x")`, `new URLSearchParams(location.search)`, `// fetch("/x")`,
	} {
		if got := rawUses(bare(t, []byte(source), api.LoaderTS)); len(got) > 0 {
			t.Errorf("found: %q in %s", got, source)
		}
	}
	if got := rawUses(bare(t, []byte(`a { background: url(/x.png) }`), api.LoaderCSS)); len(got) == 0 {
		t.Error("not found in a style sheet")
	}
}
