package caddymodule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestErrorPages: every address of a single-page site with handle_errors has the
// script; otherwise errors are the same as without us.
func TestErrorPages(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "index.html"), []byte(pageHTML), 0o600); err != nil {
		t.Fatal(err)
	}
	up := upstream(t, nil)
	headers := "header {\n\t\t-Server\n\t\t>X-Deferred yes\n\t\tX-Early yes\n\t}\n"
	for _, tt := range []struct {
		name, chain string
		injected    bool
	}{
		{"single page", "handle_errors {\n\t\trewrite /index.html\n\t\tfile_server\n\t}", true},
		{"as 200", "handle_errors 404 {\n\t\trewrite /index.html\n\t\tfile_server {\n\t\t\tstatus 200\n\t\t}\n\t}", true},
		{"encode inside and outside", "encode\n\thandle_errors {\n\t\tencode\n\t\trewrite /index.html\n\t\tfile_server\n\t}", true},
		{"deferred headers", headers + "\tencode\n\thandle_errors {\n\t\trewrite /index.html\n\t\tfile_server\n\t}", true},
		{"webpush in it", "handle_errors {\n\t\twebpush\n\t\trewrite /index.html\n\t\tfile_server\n\t}", true},
		{"text", "handle_errors {\n\t\trespond \"none {err.status_code}\" 404\n\t}", false},
		{"other status", "handle_errors 5xx {\n\t\trewrite /index.html\n\t\tfile_server\n\t}", false},
		{"none", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "root " + root + "\n\t" + tt.chain + "\n\trewrite /moved* /gone\n\thandle {\n\t\tfile_server\n\t}"
			site := site{chain: text, upstream: up}
			s := start(t, site)
			// The same without webpush, at the same address.
			with := site.caddyfile(s.db, s.port)
			paths := []string{"/deep/link", "/moved/away", "/_webpush/nothing"}
			type answer struct{ status, header, body string }
			ask := func() (got []answer) {
				for _, p := range paths {
					resp, body := s.page("a.example.com", p)
					h := resp.Header.Clone()
					for _, f := range []string{"Date", "Content-Length", "X-Webpush", "Etag", "Last-Modified", "Accept-Ranges", "Vary", "Connection"} {
						h.Del(f)
					}
					got = append(got, answer{resp.Status, fmt.Sprint(h), body})
				}
				return got
			}
			got := ask()
			s.load(adaptJSON(t, strings.Replace(strings.ReplaceAll(with, "\t\twebpush\n\t\trewrite", "\t\trewrite"), "\twebpush {\n\t\t\n\t}\n", "", 1)))
			want := ask()
			for i, g := range got {
				w := want[i]
				if tt.injected && i < 2 {
					w.body = pageWithSnippet
				}
				if g != w && i < 2 {
					t.Errorf("%s: got %+v\nwant %+v", paths[i], g, w)
				}
				if g.status != w.status {
					t.Errorf("%s: got %s, want %s", paths[i], g.status, w.status)
				}
			}
		})
	}
}
