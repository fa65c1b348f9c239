//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// site is one kind of real site.
type site struct {
	name string
	// answer starts the site and returns the Caddyfile line that serves it.
	answer func(t *testing.T) string
	// options are the options of webpush.
	options string
	// behave uses the site and fails if it does not work. It runs without webpush
	// and with it.
	behave func(v *visitor)
	// with checks more on the site with webpush.
	with func(v *visitor)
	// without replaces with and the checks common to all sites, where webpush
	// cannot work.
	without func(v *visitor)
	// untouched means that webpush must leave the site's pages unchanged.
	untouched bool
}

// visitor is a browser at a site, without or with webpush.
type visitor struct {
	*testing.T
	ctx     context.Context
	user    *user
	browser browser.Browser
	page    browser.Page
	product *product
	origin  string
	ours    bool
}

// siteTime limits one browser's visits to one site, without and with webpush.
const siteTime = 2 * time.Minute

// TestSites visits sites of common kinds, without webpush and with it. They work
// as before, log nothing more to the console, and have the script once, however
// their pages are loaded, swapped, streamed or cached.
func TestSites(t *testing.T) {
	needPackages(t)
	dist := build(t)
	forBoth(t, func(t *testing.T, u *user) {
		b := u.start(t)
		sites := allSites(dist)
		p := startSites(t, sites)
		for i, s := range sites {
			t.Run(s.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), siteTime)
				defer cancel()
				mine := *p
				mine.t = t
				clock := &lap{t, time.Now()}
				plain := visitor{T: t, ctx: ctx, user: u, browser: b, product: &mine, origin: p.origins[2*i+1]}
				before := plain.visit(s)
				clock.done("without us")
				with := plain
				with.origin, with.ours = p.origins[2*i], true
				after := with.visit(s)
				clock.done("with us")
				for _, line := range after {
					if !slices.Contains(before, line) {
						t.Errorf("only with webpush the console has %q", line)
					}
				}
			})
		}
	})
}

// allSites returns sites to start for one browser only, since some have switches.
// dist is the folder of Vite's build.
func allSites(dist string) []site {
	return slices.Concat(swappingSites(), appSites(dist), policySites(), pageSites())
}

// visit uses the site and returns its console entries.
func (v *visitor) visit(s site) []string {
	v.Helper()
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, browser.Default))
	var err error
	v.page, err = v.browser.Open(v.ctx, "about:blank")
	must(v.T, err)
	s.behave(v)
	var complaints []string
	switch {
	case !v.ours:
		complaints = v.complaints()
	case s.without != nil:
		s.without(v)
	default:
		if s.untouched {
			v.wantUntouched()
		} else {
			v.wantOnce()
		}
		if s.with != nil {
			s.with(v)
		}
		complaints = v.complaints()
	}
	must(v.T, v.page.Close(v.ctx))
	return complaints
}

// goTo loads a page like a visitor who types its address.
func (v *visitor) goTo(path string) {
	v.Helper()
	must(v.T, visitPage(v.ctx, v.page, v.origin, path))
}

func (v *visitor) wait(expression string) {
	v.Helper()
	must(v.T, browser.WaitFor(v.ctx, v.page, expression))
}

func (v *visitor) click(selector string) {
	v.Helper()
	must(v.T, v.page.Click(v.ctx, selector))
}

func (v *visitor) eval(expression string, result any) {
	v.Helper()
	must(v.T, v.page.Eval(v.ctx, expression, result))
}

// want compares the value of an expression.
func (v *visitor) want(expression, want string) {
	v.Helper()
	var got string
	v.eval("Promise.resolve("+expression+").then(String)", &got)
	if got != want {
		v.Errorf("%s is %q, want %q", expression, got, want)
	}
}

// heading waits for the page with this heading.
func (v *visitor) heading(text string) {
	v.Helper()
	v.wait(fmt.Sprintf(`document.querySelector("h1")?.textContent === %q`, text))
}

// manifests counts the links to a manifest in the head.
const manifests = `document.head.querySelectorAll('link[rel="manifest"]').length`

// tags counts our scripts in the document.
const tags = "document.querySelectorAll('script[src*=\"/_webpush/sdk.js\"]').length"

// wantTag checks that our script is in the document once, if webpush is on.
func (v *visitor) wantTag() {
	v.Helper()
	if v.ours {
		v.want(tags, "1")
	}
}

// wantManifest checks the link to our manifest in the head, if webpush is on.
func (v *visitor) wantManifest() {
	v.Helper()
	if v.ours {
		v.want(manifests, "1")
	}
}

// wantOnce checks that the script is in the document once, has run once since the
// page was loaded, and has asked once.
func (v *visitor) wantOnce() {
	v.Helper()
	v.wait("window.webpush && " + promptShown)
	v.want(tags, "1")
	v.want("seen.runs", "1")
	v.want("seen.prompts", "1")
	v.want(`document.querySelector('script[src*="/_webpush/sdk.js"]').parentNode.localName`, "head")
}

func (v *visitor) wantUntouched() {
	v.Helper()
	v.want(tags, "0")
	v.want("typeof window.webpush", "undefined")
}

// wantPush subscribes by the prompt, and sends.
func (v *visitor) wantPush() {
	v.Helper()
	accept(v.ctx, v.T, v.browser, v.page, v.origin)
	title := v.Name()
	m := v.product.send(v.origin, "--title", title)
	if r := m.Results; r.Audience != 1 || r.Accepted != 1 {
		v.Fatalf("sent: %+v; the push service saw %+v", r, shared.attempts())
	}
	_, err := v.user.desktop.WaitTitle(v.ctx, v.user.name, title)
	must(v.T, err)
}

// complaints returns the page's errors and warnings from all sources, without the
// parts that differ between two equal sites.
func (v *visitor) complaints() []string {
	v.Helper()
	var seen []string
	v.eval("window.seen?.errors ?? []", &seen)
	for _, e := range v.page.Console() {
		if e.Level == "error" || e.Level == "warning" {
			seen = append(seen, e.Level+": "+e.Text)
		}
	}
	for i := range seen {
		seen[i] = strings.ReplaceAll(seen[i], v.origin, "http://site")
	}
	return seen
}

// startSites runs one Caddy with two origins for each site: the first with
// webpush, the second without.
func startSites(t *testing.T, sites []site) *product {
	t.Helper()
	var answers, blocks, origins []string
	for _, s := range sites {
		answers = append(answers, s.answer(t))
	}
	for i, address := range freeAddresses(t, 2*len(sites)) {
		webpush := ""
		if i%2 == 0 {
			webpush = "webpush {\n\t\t" + sitesOptions(sites[i/2].options) + "\n\t}"
		}
		origins = append(origins, "http://"+address)
		blocks = append(blocks, fmt.Sprintf("%s {\n\tencode\n\t%s\n\t%s\n}\n", origins[i], webpush, answers[i/2]))
	}
	return startProductWith(t, origins, strings.Join(blocks, "\n"))
}

// sitesOptions shows the prompt on the first page.
func sitesOptions(own string) string {
	if before, after, found := strings.Cut(own, "prompt {"); found {
		return before + "prompt {\n\t\t\tafter 1 page" + after
	}
	return own + "\n\t\t" + atOnce
}

// freeAddresses is freeAddress for several addresses.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	addresses := make([]string, n)
	for i := range addresses {
		addresses[i] = freeAddress(t)
	}
	return addresses
}

// startProductWith is startProduct with the site blocks as text.
func startProductWith(t *testing.T, origins []string, blocks string) *product {
	t.Helper()
	p := &product{t: t, dir: t.TempDir(), admin: freeAddress(t), origins: origins}
	pem := filepath.Join(p.dir, "ca.pem")
	must(t, shared.authority.WritePEM(pem))
	p.env = productEnv(p.dir, pem)
	file := filepath.Join(p.dir, "Caddyfile")
	text := fmt.Sprintf("{\n\tadmin %s\n\tauto_https off\n\twebpush {\n\t\tcontact mailto:ops@example.com\n\t}\n"+
		"\tlog webpush {\n\t\toutput file %q\n\t\tinclude http.handlers.webpush\n\t\tformat json\n\t}\n}\n\n%s",
		p.admin, filepath.Join(p.dir, "webpush.log"), blocks)
	must(t, os.WriteFile(file, []byte(text), 0o600))
	p.run(p.withDialer(file))
	return p
}

// packages is the folder for the packages in sites/package-lock.json.
const packages = "sites/node_modules"

// needPackages skips the test where npm's packages are missing, or fails if
// WEBPUSH_E2E_REQUIRED is 1.
func needPackages(t *testing.T) {
	t.Helper()
	needPackagesOf(t, "sites")
}

// needPackagesOf is needPackages for another folder.
func needPackagesOf(t *testing.T, folder string) {
	t.Helper()
	lock, err := os.Stat(folder + "/package-lock.json")
	must(t, err)
	installed, err := os.Stat(folder + "/node_modules/.package-lock.json")
	_, noNode := exec.LookPath("node")
	switch {
	case noNode != nil, errors.Is(err, fs.ErrNotExist), err == nil && installed.ModTime().Before(lock.ModTime()):
		cure := "Node or npm's packages are missing or old: install Node and run npm ci --ignore-scripts in caddymodule/e2e/" + folder
		if os.Getenv("WEBPUSH_E2E_REQUIRED") == "1" {
			t.Fatal(cure)
		}
		t.Skip(cure)
	case err != nil:
		t.Fatal(err)
	}
}

// proxied starts a server and returns the Caddyfile line that proxies to it.
func proxied(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return "reverse_proxy " + strings.TrimPrefix(server.URL, "http://")
}

// notFound returns the status for a missing resource. Browsers request the icon
// once, and the console would report a 404.
func notFound(r *http.Request) int {
	if r.URL.Path == "/favicon.ico" {
		return http.StatusNoContent
	}
	return http.StatusNotFound
}

// source reads a file of the sites' folder.
func source(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("sites", filepath.FromSlash(name)))
	must(t, err)
	return string(raw)
}

// files serves texts by their paths, with the type of the path's extension. A
// text that begins with "sites/" names a file.
func files(t *testing.T, texts map[string]string) *http.ServeMux {
	t.Helper()
	mux := http.NewServeMux()
	all := map[string]string{"/record.js": "sites/record.js"}
	maps.Copy(all, texts)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(notFound(r)) })
	for at, text := range all {
		if name, ok := strings.CutPrefix(text, "sites/"); ok {
			text = source(t, name)
		}
		kind := "text/html; charset=utf-8"
		switch path.Ext(at) {
		case ".js":
			kind = "text/javascript"
		case ".css":
			kind = "text/css"
		case ".webmanifest":
			kind = "application/manifest+json"
		}
		if strings.HasSuffix(at, "/") {
			at += "{$}"
		}
		mux.HandleFunc("GET "+at, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, text)
		})
	}
	return mux
}
