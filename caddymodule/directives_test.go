package caddymodule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// written is a site whose block is written out; UPSTREAM and ROOT stand for the site's
// server and a folder of its files.
type written struct {
	*server
	log string
}

// startWritten runs a site with the given lines in its block, and global options.
func startWritten(t *testing.T, global, block, up, root string) written {
	t.Helper()
	db, port := filepath.Join(t.TempDir(), "webpush.db"), freePort(t)
	s := written{&server{t: t, db: db, port: port, url: fmt.Sprintf("http://127.0.0.1:%d", port)}, filepath.Join(t.TempDir(), "log")}
	block = strings.NewReplacer("UPSTREAM", up, "ROOT", root).Replace(block)
	text := fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	grace_period 2s
	webpush {
		storage bbolt %q
		subscribe_limit off
	}
	log {
		output file %s
		level WARN
	}
	%s
}
http://a.example.com:%d {
	bind 127.0.0.1
	%s
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

// warnings is what the log has of ours.
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

// TestShutOut: what keeps our paths from us is said when Caddy loads the configuration,
// and nothing is said where all is well.
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
		{"matcher with vendors", "webpush /shop/* {\n\t\tmigrate_from firebase\n\t}\n\treverse_proxy UPSTREAM", "/_webpush/* /sw.js /manifest.json /firebase-messaging-sw.js", ""},
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

// TestManifestWithLogin: behind a login the manifest's link asks for credentials, and
// nowhere else.
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
		{"basic_auth but for a part", "@private not path /public/*\n\tbasic_auth @private " + users, true},
		{"basic_auth by what is not known", "@out not remote_ip 192.0.2.1\n\tbasic_auth @out " + users, true},
		{"basic_auth but for the manifest", "@private not path /manifest.json /_webpush/*\n\tbasic_auth @private " + users, false},
		{"forward_auth", "forward_auth UPSTREAM {\n\t\turi /\n\t\tcopy_headers Remote-User\n\t}", true},
		{"forward_auth for a part", "forward_auth /admin/* UPSTREAM {\n\t\turi /\n\t}", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := startWritten(t, "", tt.block+"\n\twebpush\n\treverse_proxy UPSTREAM", up, root)
			header := map[string]string{"Authorization": "Basic YW5uOnRlc3Q="}
			for k, v := range navigation {
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
