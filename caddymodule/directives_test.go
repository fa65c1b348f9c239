package caddymodule_test

import (
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

// written is a site with a given Caddyfile block; UPSTREAM and ROOT stand for the
// site's server and a folder with its files.
type written struct {
	*server
	log string
}

// startWritten runs a site with the given lines in its block, and global options.
func startWritten(t *testing.T, global, block, up, root string) written {
	t.Helper()
	db, port := filepath.Join(t.TempDir(), "webpush.db"), caddytest.FreePort(t)
	s := written{&server{t: t, db: db, port: port, url: fmt.Sprintf("http://127.0.0.1:%d", port)}, filepath.Join(t.TempDir(), "log")}
	block = strings.NewReplacer("UPSTREAM", up, "ROOT", root).Replace(block)
	text := fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	grace_period 2s
	webpush {
		storage bbolt %[1]q
		subscribe_limit off
	}
	log {
		output file %[2]s
		level WARN
	}
	%[3]s
}
&(seen) {
	header X-Named yes
}
http://a.example.com:%[4]d, http://127.0.0.1:%[4]d {
	bind 127.0.0.1
	%[5]s
}
`, db, s.log, global, port, block)
	s.load(adaptJSON(t, text))
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return s
}

// warnings returns our lines of the log.
func (s written) warnings() string {
	raw, err := os.ReadFile(s.log)
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	var ours []string
	for line := range strings.Lines(string(raw)) {
		if strings.Contains(line, `"logger":"webpush`) || strings.Contains(line, `"logger":"http.handlers.webpush`) {
			ours = append(ours, line)
		}
	}
	return strings.Join(ours, "")
}

// TestShutOut: when Caddy loads the configuration, it warns of directives that
// block our paths, and only then.
func TestShutOut(t *testing.T) {
	up, root := upstream(t, nil), t.TempDir()
	for _, tt := range []struct {
		name, block string
		want        string // the paths that the warning names, or "" for no warning
		cure        string
	}{
		{"whole site", "webpush\n\treverse_proxy UPSTREAM", "", ""},
		{"negative matcher", "@public not path /admin/*\n\twebpush @public\n\treverse_proxy UPSTREAM", "", ""},
		{"unknown matcher", "@in remote_ip 127.0.0.1\n\twebpush @in\n\treverse_proxy UPSTREAM", "", ""},
		{"handle", "handle /api/* {\n\t\trespond x\n\t}\n\thandle {\n\t\twebpush\n\t\treverse_proxy UPSTREAM\n\t}", "", ""},
		{"route", "route {\n\t\twebpush\n\t\treverse_proxy UPSTREAM\n\t}", "", ""},
		{"redir of other paths", "redir /old /new\n\twebpush\n\treverse_proxy UPSTREAM", "", ""},
		{"matcher", "webpush /shop/*\n\treverse_proxy UPSTREAM", "/_webpush/* /sw.js /manifest.json", "matcher match"},
		{"matcher with providers", "webpush /shop/* {\n\t\tmigrate_from firebase\n\t}\n\treverse_proxy UPSTREAM", "/_webpush/* /sw.js /manifest.json /firebase-messaging-sw.js", ""},
		{"matcher that lets ours through", "@p path /shop/* /_webpush/* /sw.js /manifest.json\n\twebpush @p\n\treverse_proxy UPSTREAM", "", ""},
		{"handle_path", "handle_path /shop/* {\n\t\twebpush\n\t\treverse_proxy UPSTREAM\n\t}", "/_webpush/* /sw.js /manifest.json", "handle_path"},
		{"handle_path with its own paths", "handle_path /shop/* {\n\t\twebpush {\n\t\t\tprefix /shop/_webpush\n\t\t\tworker /shop/sw.js\n\t\t\tmanifest /shop/manifest.json\n\t\t}\n\t\treverse_proxy UPSTREAM\n\t}", "", ""},
		{"method", "@get method GET HEAD\n\twebpush @get\n\treverse_proxy UPSTREAM", "/_webpush/*", ""},
		{"not", "@notjs not path *.js\n\twebpush @notjs\n\treverse_proxy UPSTREAM", "/_webpush/* /sw.js", ""},
		{"path_regexp", "@html path_regexp html?$\n\twebpush @html\n\treverse_proxy UPSTREAM", "/_webpush/* /sw.js /manifest.json", ""},
		{"handle before", "@js path *.js\n\thandle @js {\n\t\tfile_server\n\t}\n\thandle {\n\t\twebpush\n\t\treverse_proxy UPSTREAM\n\t}", "/_webpush/* /sw.js", ""},
		{"redir of all", "redir /sw.js /other\n\twebpush\n\treverse_proxy UPSTREAM", "/sw.js", "static_response answers"},
		{"answered before in route", "route {\n\t\trespond /manifest.json none 404\n\t\twebpush\n\t\treverse_proxy UPSTREAM\n\t}", "/manifest.json", "static_response answers"},
		{"after the answer", "route {\n\t\treverse_proxy UPSTREAM\n\t\twebpush\n\t}", "/_webpush/* /sw.js /manifest.json", "reverse_proxy answers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := startWritten(t, "", tt.block, up, root).warnings()
			switch {
			case tt.want == "" && got != "":
				t.Errorf("warned: %s", got)
			case tt.want != "" && (!strings.Contains(got, `"paths":"`+tt.want+`"`) || !strings.Contains(got, tt.cure)):
				t.Errorf("want %s, %s; got %s", tt.want, tt.cure, got)
			}
		})
	}
}

// TestManifestWithLogin: only a site with a login has a manifest link that
// requests credentials.
func TestManifestWithLogin(t *testing.T) {
	up, root := upstream(t, nil), t.TempDir()
	const users = "{\n\t\tann $2a$04$ily2S9I3HF/6ZlA5MxCTAOu6g8O54Ma55u8MJaEpbjWKV8s86HrY.\n\t}"
	for _, tt := range []struct {
		name, block string
		want        bool
	}{
		{"none", "", false},
		{"basic_auth", "basic_auth " + users, true},
		{"basic_auth for a part", "basic_auth /admin/* " + users, false},
		{"basic_auth except for a part", "@private not path /public/*\n\tbasic_auth @private " + users, true},
		{"basic_auth by what is not known", "@out not remote_ip 192.0.2.1\n\tbasic_auth @out " + users, true},
		{"basic_auth except for the manifest", "@private not path /manifest.json /_webpush/*\n\tbasic_auth @private " + users, false},
		{"forward_auth", "forward_auth UPSTREAM {\n\t\turi /\n\t\tcopy_headers Remote-User\n\t}", true},
		{"forward_auth for a part", "forward_auth /admin/* UPSTREAM {\n\t\turi /\n\t}", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := startWritten(t, "", tt.block+"\n\twebpush\n\treverse_proxy UPSTREAM", up, root)
			header := map[string]string{"Authorization": "Basic YW5uOnRlc3Q="}
			for k, v := range caddytest.Navigation {
				header[k] = v
			}
			resp, body := s.request("GET", "a.example.com", "/", header, "")
			if resp.StatusCode == 401 {
				t.Fatalf("%d %s", resp.StatusCode, body)
			}
			if got := strings.Contains(body, `href="/manifest.json" crossorigin="use-credentials"/>`); got != tt.want || !strings.Contains(body, "sdk.js") {
				t.Errorf("got %s", body)
			}
		})
	}
}

// order is the order of a directive and webpush.
type order int

const (
	natural order = iota // Caddy's default order
	before               // route { it; webpush }
	after                // route { webpush; it }
)

func (o order) block(lines string) string {
	switch o {
	case before:
		return "route {\n" + lines + "\nwebpush\nreverse_proxy UPSTREAM\n}"
	case after:
		return "route {\nwebpush\n" + lines + "\nreverse_proxy UPSTREAM\n}"
	}
	return lines + "\nwebpush\nreverse_proxy UPSTREAM"
}

// TestDirectives tests Caddy's directives with ours, in each useful order. The
// page has the script, our paths answer, a visitor can subscribe, and the
// directive works as without us.
func TestDirectives(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{"index.html": pageHTML, "page.html": pageHTML} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	html := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("X-Method", r.Method)
			w.Header().Set("X-Seen", r.Header.Get("X-Seen"))
			w.Header().Set("X-Path", r.URL.Path)
			_, _ = io.WriteString(w, text)
		}
	}
	long := strings.Replace(pageHTML, "hello", strings.Repeat("hello ", 400), 1)
	up := upstream(t, map[string]http.HandlerFunc{
		"/": html(pageHTML), "/index.html": html(pageHTML), "/other": html(pageHTML), "/long": html(long), "/shop/": html(pageHTML),
		"/missing": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<p>none")
		},
		"/auth": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Remote-User", "ann") },
		"/tpl":  html(strings.Replace(pageHTML, "hello", `{{"hel"}}lo`, 1)),
	})
	injected := func(text string) string { return strings.Replace(text, "</head>", snippet+"</head>", 1) }
	withLogin := strings.Replace(injected(pageHTML), `manifest.json"/>`, `manifest.json" crossorigin="use-credentials"/>`, 1)
	all := []order{natural, before, after}
	for _, tt := range []struct {
		directive, lines string
		orders           []order
		path             string // default: "/"
		want             string // default: the page with the script
		header           string // "Field: value" that the answer must have
	}{
		{directive: "tracing", lines: "tracing {\n}", orders: []order{natural}},
		{directive: "map", lines: "map {path} {x} {\n default y\n}\nheader X-Map {x}", header: "X-Map: y"},
		{directive: "vars", lines: "vars x y\nheader X-Vars {vars.x}", header: "X-Vars: y"},
		{directive: "fs", lines: "fs default"},
		{directive: "root", lines: "root ROOT"},
		{directive: "log_append", lines: "log_append x y"},
		{directive: "log_skip", lines: "log_skip /x"},
		{directive: "log_name", lines: "log_name x"},
		{directive: "header", lines: "header X-A b", header: "X-A: b"},
		{directive: "header, Cache-Control", lines: "header Cache-Control no-cache", header: "Cache-Control: no-cache"},
		{directive: "header, deferred", lines: "header {\n >X-A b\n -Server\n}", header: "X-A: b"},
		{directive: "header, wildcard", lines: "header -X-*", header: "X-Seen: "},
		{directive: "header, default", lines: "header ?X-A b", header: "X-A: b"},
		{directive: "request_body", lines: "request_body {\n max_size 10MB\n}"},
		{directive: "redir", lines: "redir /old /new", path: "/old", want: "-"},
		{directive: "redir, other", lines: "redir /old /new"},
		{directive: "method", lines: "@x path /x\nmethod @x GET"},
		{directive: "rewrite", lines: "rewrite /moved /other", path: "/moved", header: "X-Path: /other"},
		{directive: "rewrite of all", lines: "rewrite /index.html", path: "/deep", header: "X-Path: /index.html"},
		{directive: "uri", lines: "uri strip_prefix /app", path: "/app/other", header: "X-Path: /other"},
		{directive: "uri, replace", lines: "uri replace /old/ /", path: "/old/other", header: "X-Path: /other"},
		{directive: "try_files", lines: "root ROOT\ntry_files {path} /index.html", path: "/deep/link", header: "X-Path: /index.html"},
		{directive: "request_header", lines: "request_header X-Seen yes", header: "X-Seen: yes"},
		{directive: "basic_auth", lines: "basic_auth {\n ann $2a$04$ily2S9I3HF/6ZlA5MxCTAOu6g8O54Ma55u8MJaEpbjWKV8s86HrY.\n}", orders: []order{natural, before}, want: withLogin},
		{directive: "basic_auth after", lines: "basic_auth {\n ann $2a$04$ily2S9I3HF/6ZlA5MxCTAOu6g8O54Ma55u8MJaEpbjWKV8s86HrY.\n}", orders: []order{after}},
		{directive: "forward_auth", lines: "forward_auth UPSTREAM {\n uri /auth\n copy_headers Remote-User>X-Seen\n}", orders: []order{natural, before}, want: withLogin, header: "X-Seen: ann"},
		{directive: "encode", lines: "encode", path: "/long", want: injected(long)},
		{directive: "encode, gzip", lines: "encode gzip", orders: []order{natural, before}, path: "/long", want: injected(long), header: "Content-Encoding: gzip"},
		{directive: "push", lines: "push /x.css"},
		{directive: "intercept", lines: "intercept {\n @x status 418\n handle_response @x {\n respond no\n }\n}"},
		{directive: "intercept, page", lines: "root ROOT\nintercept {\n @missing {\n status 404\n header Content-Type text/html*\n }\n handle_response @missing {\n rewrite /page.html\n file_server\n }\n}", orders: []order{natural, after}, path: "/missing"},
		{directive: "intercept, status", lines: "intercept {\n @missing status 404\n replace_status @missing 410\n}", orders: []order{natural, after}, path: "/none", want: "404 page not found\n"},
		{directive: "templates", lines: "templates", path: "/tpl"},
		{directive: "invoke", lines: "invoke seen", header: "X-Named: yes"},
		{directive: "handle", lines: "handle /api/* {\n respond api\n}"},
		{directive: "handle, its answer", lines: "handle /api/* {\n respond api\n}", path: "/api/x", want: "api"},
		{directive: "handle_path", lines: "handle_path /app/* {\n reverse_proxy UPSTREAM\n}", orders: []order{natural, after}, path: "/app/other", header: "X-Path: /other"},
		{directive: "handle_path before", lines: "handle_path /app/* {\n reverse_proxy UPSTREAM\n}", orders: []order{before}, path: "/app/other", want: pageHTML},
		{directive: "route", lines: "route /app/* {\n uri strip_prefix /app\n}", path: "/app/other", header: "X-Path: /other", orders: []order{natural, before, after}},
		{directive: "abort", lines: "abort /x"},
		{directive: "error", lines: "error /x 403"},
		{directive: "respond", lines: "respond /x y", path: "/x", want: "y"},
		{directive: "respond with a page", lines: "header /x Content-Type text/html\nrespond /x \"<!DOCTYPE html><title>x</title>\"", orders: []order{natural, after}, path: "/x", want: "<!DOCTYPE html><title>x</title>" + snippet},
		{directive: "metrics", lines: "metrics /metrics"},
		{directive: "reverse_proxy", lines: "reverse_proxy /other UPSTREAM", orders: []order{natural, after}, path: "/other"},
		{directive: "copy_response", lines: "reverse_proxy /other UPSTREAM {\n @ok status 200\n handle_response @ok {\n copy_response_headers {\n include Content-Type X-Path\n }\n copy_response 200\n }\n}", orders: []order{natural, after}, path: "/other", header: "X-Path: /other"},
		{directive: "file_server", lines: "root ROOT\nfile_server /page.html", orders: []order{after}, path: "/page.html"},
		{directive: "file_server, pass_thru", lines: "root ROOT\nfile_server {\n pass_thru\n}", orders: []order{after}, path: "/page.html"},
		{directive: "handle_errors", lines: "handle_errors {\n respond oops\n}", orders: []order{natural}},
		{directive: "log", lines: "log {\n output discard\n}", orders: []order{natural}},
	} {
		orders := tt.orders
		if orders == nil {
			orders = all
		}
		for _, o := range orders {
			t.Run(fmt.Sprintf("%s/%d", tt.directive, o), func(t *testing.T) {
				s := startWritten(t, "", o.block(tt.lines), up, root)
				header := map[string]string{"Authorization": "Basic YW5uOnRlc3Q=", "Accept-Encoding": "gzip"}
				for k, v := range caddytest.Navigation {
					header[k] = v
				}
				resp, body := s.request("GET", "a.example.com", cmp.Or(tt.path, "/"), header, "")
				if resp.Header.Get("Content-Encoding") == "gzip" {
					body = gunzip(t, body)
				}
				if want := cmp.Or(tt.want, injected(pageHTML)); body != want && want != "-" {
					t.Errorf("%s\ngot %q\nwant %q", resp.Status, body, want)
				}
				if field, value, _ := strings.Cut(tt.header, ": "); tt.header != "" && resp.Header.Get(field) != value {
					t.Errorf("%s is %q, want %q", field, resp.Header.Get(field), value)
				}
				s.checkOurs(header["Authorization"])
				// Pages are requested uncompressed, so encode must come first.
				if warned := s.warnings(); (warned != "") != (strings.HasPrefix(tt.directive, "encode") && o == after) || warned != "" && !strings.Contains(warned, "encode before webpush") {
					t.Errorf("warned: %q", warned)
				}
			})
		}
	}
}

// checkOurs checks that our paths answer.
func (s written) checkOurs(authorization string) {
	s.t.Helper()
	for path, kind := range map[string]string{"/_webpush/sdk.js": "text/javascript", "/sw.js": "text/javascript", "/manifest.json": "application/manifest+json"} {
		resp, body := s.request("GET", "a.example.com", path, map[string]string{"Authorization": authorization}, "")
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || !strings.HasPrefix(got, kind) || len(body) < 50 {
			s.t.Errorf("%s: %d %q %.60s", path, resp.StatusCode, got, body)
		}
	}
	header := map[string]string{"Authorization": authorization}
	for k, v := range caddytest.Posting {
		header[k] = v
	}
	resp, body := s.request("POST", "a.example.com", "/_webpush/subscribe", header, caddytest.Subscription(s.t, "https://fcm.googleapis.com/fcm/send/x"))
	if resp.StatusCode != 201 {
		s.t.Errorf("subscribe: %d %s", resp.StatusCode, body)
	}
}

// TestOrder: a custom order works, or causes a warning.
func TestOrder(t *testing.T) {
	up := upstream(t, nil)
	for _, tt := range []struct{ order, warning string }{
		{"order webpush first", "encode before webpush"},
		{"order webpush before header", "encode before webpush"},
		{"order webpush before encode", "encode before webpush"},
		{"order webpush after encode", ""},
		{"order webpush before reverse_proxy", ""},
		{"order webpush after templates", ""},
	} {
		t.Run(tt.order, func(t *testing.T) {
			s := startWritten(t, tt.order, "header >X-A b\n\tencode\n\twebpush\n\treverse_proxy UPSTREAM", up, "")
			if resp, body := s.page("a.example.com", "/"); body != pageWithSnippet || resp.Header.Get("X-A") != "b" {
				t.Errorf("%v %s", resp.Header, body)
			}
			s.checkOurs("")
			if got := s.warnings(); (got != "") != (tt.warning != "") || !strings.Contains(got, tt.warning) {
				t.Errorf("warned: %q", got)
			}
		})
	}
}

// TestSeveral: if several webpush handlers get a request, exactly one serves it.
func TestSeveral(t *testing.T) {
	up := upstream(t, nil)
	for name, block := range map[string]string{
		"nested":           "webpush {\n name First\n}\nhandle {\n webpush {\n name Second\n worker /second.js\n manifest /second.json\n}\nreverse_proxy UPSTREAM\n}",
		"nested, repeated": "webpush {\n name First\n}\nhandle {\n webpush {\n name Second\n}\nreverse_proxy UPSTREAM\n}",
		"matchers":         "@all path *\nwebpush @all {\n name First\n}\nwebpush {\n name Second\n}\nreverse_proxy UPSTREAM",
	} {
		t.Run(name, func(t *testing.T) {
			s := startWritten(t, "", block, up, "")
			if _, body := s.page("a.example.com", "/"); body != pageWithSnippet {
				t.Errorf("the page is %s", body)
			}
			for _, path := range []string{"/_webpush/sdk.js", "/sw.js", "/manifest.json"} {
				if _, body := s.request("GET", "a.example.com", path, map[string]string{"Service-Worker": "script"}, ""); strings.Count(body, `"name":"First"`) != 1 || strings.Contains(body, "Second") {
					t.Errorf("%s is %.300s", path, body)
				}
			}
			if resp, body := s.request("GET", "a.example.com", "/second.js", nil, ""); resp.StatusCode != 404 {
				t.Errorf("/second.js: %d %.60s", resp.StatusCode, body)
			}
		})
	}
}

func gunzip(t *testing.T, body string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
