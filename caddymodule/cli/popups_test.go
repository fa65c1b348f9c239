package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ask sends a request to the site as one of its pages does.
func (p *process) ask(method, path, body string) (status int, header http.Header, text string) {
	p.T.Helper()
	r, err := http.NewRequest(method, p.URL+path, strings.NewReader(body))
	if err != nil {
		p.T.Fatal(err)
	}
	r.Host = p.Host()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		p.T.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		p.T.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(raw)
}

// TestPopupCommands: a pop-up is put, looked at, run, seen by a page, counted,
// paused and deleted.
func TestPopupCommands(t *testing.T) {
	p := started(t, "")
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	popups := func(args ...string) []string {
		return append([]string{"popups", args[0], "--site", p.Host()}, args[1:]...)
	}
	good := file("sale.json", `{"id":"sale","name":"Sale","kind":"box","content":{"title":"Hello"},"caps":{"day":1},"variants":[{"id":"a","weight":1}]}`)
	p.says(popups("list"), "No pop-ups yet")
	if _, stderr, err := p.CLI("popups", "put", "--site", p.Host(), good); err != nil || stderr != "" {
		t.Errorf("put: %v, told %q", err, stderr)
	}
	p.OK("popups", "delete", "--site", p.Host(), "sale")
	p.refused("there is no site \"wrong.example\"", "popups", "put", "--site", "wrong.example", good)
	p.refused("--site is missing", "popups", "list")
	p.refused("--site is missing", "popups")
	for _, tt := range []struct{ text, says string }{
		{`{"id":"x","kind":"box","content":{}}`, "content.title is missing"},
		{`{"id":"x","kind":"box","contents":{}}`, "contents is not a field"},
		{`{"kind":"box"}`, "id is missing"},
		{"{\n  \"id\": \"x\",\n  kind: 1}", "line 3, column 3"},
		{`[]`, "no JSON object"},
		{`{"id":"x","kind":"box","content":{"title":"T"},"audience":"visits >"}`, "line 1, column 9"},
	} {
		bad := file("bad.json", tt.text)
		p.refused(bad+": ", popups("put", bad)...)
		p.refused(tt.says, popups("put", bad)...)
	}
	p.refused("opening the file", popups("put", filepath.Join(dir, "none.json"))...)
	p.says(popups("put", good), "sale of "+p.Host(), "a draft")
	p.says(popups("put", file("notepad.json", "\xef\xbb\xbf"+`{"id":"sale","name":"Sale","kind":"box","content":{"title":"Hello"},"caps":{"day":1},"variants":[{"id":"a","weight":1}]}`)), "a draft")
	p.says(popups("list"), "sale", "draft", "box", "Sale")
	p.says(popups("show", "sale"), `"title": "Hello"`)
	p.says(popups("put", file("own.json", `{"id":"own","kind":"html","content":{"html":"<b>Tea & cake</b>"}}`)), "a draft")
	p.says(popups("show", "own"), `"html": "<b>Tea & cake</b>"`) // to be edited: HTML stays readable
	p.says(popups("delete", "own"), "Removed")
	p.refused("no pop-up", popups("show", "other")...)
	p.refused(`did you mean "sale"?`, popups("run", "sael")...)
	address := p.says(popups("preview", "sale", "--page", p.URL+"/x"), p.URL+"/x?webpush_preview=sale.a.")
	_, token, _ := strings.Cut(strings.TrimSpace(address), "webpush_preview=")
	if status, _, body := p.ask("POST", "/_webpush/messages", `{"preview":"`+token+`"}`); status != 200 || !strings.Contains(body, `"preview":true`) || !strings.Contains(body, "Hello") {
		t.Errorf("the preview: %d %s", status, body)
	}
	if _, _, sdk := p.ask("GET", "/_webpush/sdk.js", ""); strings.Contains(sdk, `"popups":`) {
		t.Error("pages get a draft")
	}
	p.says(popups("run", "sale"), "is running.")
	p.says(popups("put", "--run", file("old.json", `{"id":"old","kind":"inbox","content":{"title":"T"},"until":"2020-01-01T00:00"}`)), "no visitor sees it any more: it ended at 2020-01-01T00:00")
	p.says(popups("put", "--run", file("new.json", `{"id":"new","kind":"inbox","content":{"title":"T"},"from":"2999-01-01T00:00","timeZone":"Europe/Berlin"}`)), "visitors see it from 2999-01-01T00:00 on")
	p.says(popups("list"), "old   over", "new   waiting", "sale  running",
		"\nwaiting: runs, and is shown from its \"from\" on.\nover: runs, and is no longer shown")
	p.says([]string{"popups", "list", "--help"}, "  waiting  runs, and is shown from")
	p.says(popups("pause", "old"), "is paused.")
	for _, id := range []string{"old", "new"} {
		p.says(popups("delete", id), "Removed")
	}
	p.Kill() // what was acknowledged is stored
	p.Start()
	if _, _, sdk := p.ask("GET", "/_webpush/sdk.js", ""); !strings.Contains(sdk, `"list":[{"id":"sale"}]`) {
		t.Error("pages do not get a running pop-up")
	}
	if _, _, worker := p.ask("GET", "/sw.js", ""); strings.Contains(worker, `"list":[{"id":"sale"`) {
		t.Error("the worker changes with the pop-ups")
	}
	status, header, body := p.ask("POST", "/_webpush/messages", `{"page":{"path":"/"}}`)
	if status != 200 || !strings.Contains(body, `"id":"sale","variant":"a","token":"`) || !strings.Contains(header.Get("Set-Cookie"), "__webpush_") {
		t.Errorf("%d %v %s", status, header, body)
	}
	p.says(popups("stats", "sale", "--hours"), "VARIANT", "a", "0")
	p.refused("--from", popups("stats", "sale", "--from", "yesterday")...)
	var stats struct{ Variants []struct{ Variant string } }
	if err := json.Unmarshal([]byte(p.OK(popups("stats", "sale", "--json")...)), &stats); err != nil || len(stats.Variants) != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
	p.says(popups("settings"), "in one session: 1 at most; in one day: no bound. 0%")
	p.says(popups("settings", "--per-day", "3", "--holdout", "5"), "in one session: 1 at most; in one day: 3 at most. 5%")
	p.refused("holdout", popups("settings", "--holdout", "95")...)

	picture := strings.TrimSpace(p.OK(popups("upload", file("x.bin", "\x89PNG\r\n\x1a\n..."))...))
	if status, header, body := p.ask("GET", picture, ""); status != 200 || header.Get("Content-Type") != "image/png" || !strings.HasSuffix(body, "...") {
		t.Errorf("%s: %d %v", picture, status, header)
	}
	p.refused("PNG, JPEG", popups("upload", file("x.svg", "<svg/>"))...)
	name := strings.TrimPrefix(picture, "/_webpush/i/")
	p.says(popups("uploads"), name, "image/png")
	p.says(popups("uploads", "--remove", name), "Removed")
	if status, _, _ := p.ask("GET", picture, ""); status != 404 {
		t.Errorf("a removed image: %d", status)
	}

	p.says(popups("put", "--run", good), "running")
	p.says(popups("pause", "sale"), "paused")
	if _, _, body := p.ask("POST", "/_webpush/messages", `{}`); body != "{\"popups\":[]}\n" {
		t.Errorf("a paused one: %s", body)
	}
	p.reload("http://localhost:8080 {\n\twebpush {\n\t\tprefix /push\n\t}\n\trespond ok\n}\n")
	picture = strings.TrimSpace(p.OK(popups("upload", file("x.bin", "\x89PNG\r\n\x1a\n..."))...))
	if status, _, _ := p.ask("GET", picture, ""); status != 200 || !strings.HasPrefix(picture, "/push/i/") {
		t.Errorf("with another prefix: %s: %d", picture, status)
	}
	p.says(popups("uploads"), picture)
	p.says(popups("delete", "sale"), "Removed")
	p.refused("no pop-up", popups("delete", "sale")...)
	p.Terminate()
}
