//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/childproc"
)

// appSites are built by their usual tools.
func appSites(dist string) []site {
	return []site{
		{name: "React stream", answer: reactStream, behave: useReactStream},
		{name: "Vite", answer: viteFiles(dist, "%s"), behave: useSPA, with: (*visitor).wantPush},
		{name: "Vite in handle", answer: viteFiles(dist, "handle {\n\t\t%s\n\t}"), behave: useSPA, with: (*visitor).wantPush},
		{name: "Vite upstream", answer: viteUpstream(dist), behave: useSPA, with: routeWhileAsking},
		workboxSite(),
	}
}

// bundle bundles a module and its imports into one script.
func bundle(t *testing.T, entry string) string {
	t.Helper()
	entry, err := filepath.Abs(filepath.Join("sites", entry))
	must(t, err)
	out := api.Build(api.BuildOptions{
		EntryPoints: []string{entry}, Bundle: true, MinifySyntax: true, Write: false,
		Format: api.FormatIIFE, Target: api.ES2022,
		Define: map[string]string{"process.env.NODE_ENV": `"production"`},
	})
	for _, e := range out.Errors {
		t.Fatalf("bundling %s: %s", entry, e.Text)
	}
	return string(out.OutputFiles[0].Contents)
}

// reactStream starts a server in Node, with the client's script beside it.
func reactStream(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("node", "sites/stream/server.js")
	cmd.Env = append(os.Environ(), "NODE_ENV=production")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	proc, err := childproc.Start(cmd)
	must(t, err)
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := proc.Stop(30 * time.Second); err != nil {
			t.Errorf("stopping the server in Node: %v", err)
		}
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	mux := files(t, map[string]string{"/client.js": bundle(t, "stream/client.js")})
	react := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:" + strings.TrimSpace(port)})
	}}
	mux.Handle("GET /{$}", react)
	mux.Handle("POST /release", react)
	return proxied(t, mux)
}

// useReactStream makes the server send a part only when the visitor has seen the
// one before, which never happens if a proxy buffers it. Then React hydrates the
// document.
func useReactStream(v *visitor) {
	id := fmt.Sprintf("%s-%t", v.user.name, v.ours)
	release := func(part string) {
		resp, err := http.Post(fmt.Sprintf("%s/release?id=%s&part=%s", v.origin, id, part), "", nil)
		must(v.T, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			v.Fatalf("releasing answered %s", resp.Status)
		}
	}
	// A navigation that the test does not wait for.
	v.goTo("/record.js")
	v.eval(fmt.Sprintf("void setTimeout(() => location.href = '/?id=%s')", id), nil)
	v.wait(`document.getElementById("waiting-first") && document.getElementById("waiting-second")`)
	v.heading("Streamed")
	release("first")
	v.wait(`document.getElementById("first")?.checkVisibility() && document.getElementById("waiting-second")`)
	v.want("document.readyState", "loading")
	release("second")
	v.wait(`document.getElementById("second")?.checkVisibility() && document.readyState === "complete"`)
	v.wait(`Object.keys(document.getElementById("count")).some((k) => k.startsWith("__reactProps"))`)
	v.click("#count")
	v.wait(`document.getElementById("count").textContent === "Count 1"`)
}

// build builds the single-page site with Vite.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("node", packages+"/vite/bin/vite.js", "build", "sites/spa", "--outDir", dir, "--emptyOutDir", "--logLevel", "error").CombinedOutput()
	if err != nil {
		t.Fatalf("vite build: %v\n%s", err, out)
	}
	must(t, os.WriteFile(filepath.Join(dir, "record.js"), []byte(source(t, "record.js")), 0o600))
	return dir
}

// viteFiles serves a single-page site as Caddy's documentation does.
func viteFiles(dist, within string) func(t *testing.T) string {
	return func(*testing.T) string {
		return fmt.Sprintf(within, fmt.Sprintf("root %q\n\ttry_files {path} /index.html\n\tfile_server", dist))
	}
}

// routeWhileAsking goes to another route while the browser's own prompt waits for
// the visitor; not all browsers block the page meanwhile.
func routeWhileAsking(v *visitor) {
	v.eval(`void (Notification.requestPermission = () => new Promise((answer) => window.answer = answer))`, nil)
	v.click("#accept")
	v.wait("window.answer && !" + promptShown)
	v.click("#product")
	v.heading("Product 7")
	time.Sleep(time.Second) // long enough for an unwanted prompt
	v.want(promptShown, "false")
}

// viteUpstream is a single-page site behind a server that answers every path with
// the page.
func viteUpstream(dist string) func(t *testing.T) string {
	static := http.FileServer(http.Dir(dist))
	return func(t *testing.T) string {
		return proxied(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := os.Stat(filepath.Join(dist, filepath.FromSlash(r.URL.Path))); err != nil {
				r.URL.Path = "/"
			}
			static.ServeHTTP(w, r)
		}))
	}
}

// useSPA moves through the history, and starts at a deep link.
func useSPA(v *visitor) {
	v.goTo("/products/3")
	v.heading("Product 3")
	v.eval("void (window.kept = true)", nil)
	v.click("#home")
	v.heading("Shop")
	v.click("#product")
	v.heading("Product 7")
	v.eval("history.back()", nil)
	v.heading("Shop")
	v.eval("history.back()", nil)
	v.heading("Product 3")
	v.want("location.pathname", "/products/3")
	v.want("window.kept", "true")
	v.want("document.styleSheets.length", "1")
	v.goTo("/no/such/page")
	v.heading("Nothing here")
}

// workboxSite works offline, by its own worker. It is offline while its folder
// has a file with the name offline.
func workboxSite() site {
	var switched string
	answer := func(t *testing.T) string {
		page := func(title string) string {
			return strings.ReplaceAll(source(t, "workbox/page.html"), "{{title}}", title)
		}
		mux := files(t, map[string]string{
			"/": page("Home"), "/about": page("About"), "/news/1": page("News 1"), "/news/2": page("News 2"),
			"/service-worker.js": bundle(t, "workbox/sw.js"), "/app.webmanifest": `{"name": "Offline", "start_url": "/"}`,
		})
		dir := t.TempDir()
		switched = filepath.Join(dir, "offline")
		return proxied(t, mux) + fmt.Sprintf("\n\t@offline file {\n\t\troot %q\n\t\ttry_files /offline\n\t}\n\tabort @offline", dir)
	}
	return site{name: "Workbox", answer: answer, behave: func(v *visitor) { useWorkbox(v, switched) }, with: pushToWorkbox}
}

// useWorkbox lets the site's worker fill its caches, and then reads from them
// offline.
func useWorkbox(v *visitor, offline string) {
	v.goTo("/")
	v.wait("navigator.serviceWorker.controller?.state === 'activated'")
	v.goTo("/news/1")
	v.heading("News 1")
	v.wantTag()
	v.wait(`caches.open("pages").then((c) => c.match("/news/1"))`)

	must(v.T, os.WriteFile(offline, nil, 0o600))
	v.wait(`fetch("/about?fresh").then(() => false, () => true)`)
	for _, page := range []struct{ path, heading string }{{"/", "Home"}, {"/about", "About"}} {
		v.goTo(page.path)
		v.heading(page.heading)
		v.wantTag()
	}
	v.goTo("/news/1")
	v.heading("News 1")
	v.wantTag()
	must(v.T, os.Remove(offline))
	v.goTo("/news/2")
	v.heading("News 2")
}

// pushToWorkbox checks that the push comes through the site's own registration.
func pushToWorkbox(v *visitor) {
	v.wantPush()
	v.want(`navigator.serviceWorker.getRegistrations().then((all) => all.map((r) => new URL(r.active.scriptURL).pathname))`, "/service-worker.js")
	v.want(`navigator.serviceWorker.ready.then((r) => r.pushManager.getSubscription()).then((s) => !!s)`, "true")
}
