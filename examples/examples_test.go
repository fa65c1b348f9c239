// Package examples has example sites; the test runs each.
package examples

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-webpush/caddy-webpush/caddymodule"
)

var sitePort = regexp.MustCompile(`localhost:(80\d\d)`)

// TestExamples runs each folder's Caddyfile, from that folder, on free ports, and checks every site that has
// a webpush line.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("*/Caddyfile")
	if err != nil || len(files) < 3 {
		t.Fatalf("examples found: %v, %v", files, err)
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	for _, file := range files {
		t.Run(filepath.Dir(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(filepath.Dir(file))
			text := onFreePorts(t, string(raw))
			// The store of an example must not stay in its folder.
			text = strings.Replace(text, "storage bbolt webpush.db", "storage bbolt "+filepath.Join(t.TempDir(), "webpush.db"), 1)
			config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
			if err != nil || len(warnings) > 0 {
				t.Fatalf("adapting: %v, %v", err, warnings)
			}
			admin := "localhost:" + freePort(t)
			config = []byte(strings.Replace(string(config), `{"apps":`, `{"admin":{"listen":"`+admin+`"},"apps":`, 1))
			if err := caddy.Load(config, true); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = caddy.Stop() }()
			sites := 0
			for block := range strings.SplitSeq(text, "\nhttp://") {
				if host, body, ok := strings.Cut(block, " {"); ok && strings.Contains(body, "webpush") && strings.HasPrefix(host, "localhost") {
					look(t, "http://"+host)
					putPopups(t, admin, host)
					sites++
				}
			}
			if sites == 0 {
				t.Error("no site with webpush found")
			}
		})
	}
}

// onFreePorts replaces each port of the text by a free one.
func onFreePorts(t *testing.T, text string) string {
	t.Helper()
	ports := make(map[string]string)
	return sitePort.ReplaceAllStringFunc(text, func(s string) string {
		if ports[s] == "" {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ports[s] = fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port)
		}
		return ports[s]
	})
}

// freePort returns a port without a listener.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// putPopups stores and runs the folder's pop-ups, and asks for them like a visitor's browser.
func putPopups(t *testing.T, admin, site string) {
	t.Helper()
	files, err := filepath.Glob("popups/*.json")
	if err != nil || len(files) == 0 {
		return
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		id := strings.TrimSuffix(filepath.Base(file), ".json")
		path := "http://" + admin + "/webpush/sites/" + site + "/popups/" + id
		if status, body := post(t, http.MethodPut, path, string(text)); status != http.StatusCreated {
			t.Fatalf("%s: %d %s", file, status, body)
		}
		if status, body := post(t, http.MethodPost, path+"/state", `{"state":"running"}`); status != http.StatusOK {
			t.Fatalf("%s: %d %s", file, status, body)
		}
	}
	for page, want := range map[string]string{"/": "welcome", "/checkout.html": ""} {
		status, body := post(t, http.MethodPost, "http://"+site+"/_webpush/messages", `{"page":{"path":"`+page+`"},"visits":1}`)
		if status != http.StatusOK || want != "" && !strings.Contains(body, `"id":"`+want+`"`) || want == "" && strings.Contains(body, `"id"`) {
			t.Errorf("%s: %d %s; want %q", page, status, body, want)
		}
	}
}

// post sends JSON like a page of the site.
func post(t *testing.T, method, url, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, answer := exchange(t, req)
	return resp.StatusCode, answer
}

// exchange returns the answer to a request, on its own connection, and its body.
func exchange(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	req.Close = true
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// look reads the page and what it refers to, like a visitor's browser.
func look(t *testing.T, origin string) {
	t.Helper()
	page := get(t, origin+"/", "text/html")
	found := regexp.MustCompile(`<link rel="manifest" href="([^"]+)"/><script src="([^"]+)" defer="defer"></script>`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("%s has no snippet:\n%s", origin, page)
	}
	if manifest := get(t, origin+found[1], "application/manifest+json"); !strings.Contains(manifest, `"name"`) {
		t.Errorf("manifest: %s", manifest)
	}
	sdk := get(t, origin+found[2], "text/javascript")
	worker := regexp.MustCompile(`"worker":"([^"]+)"`).FindStringSubmatch(sdk)
	if worker == nil {
		t.Fatal("the SDK does not name the worker")
	}
	if sw := get(t, origin+worker[1], "text/javascript"); !strings.Contains(sw, "notificationclick") {
		t.Error("the worker is not ours")
	}
	if icon := regexp.MustCompile(`"icon":"([^"]+)"`).FindStringSubmatch(sdk); icon != nil {
		get(t, origin+icon[1], "image/")
	}
}

func get(t *testing.T, url, contentType string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	resp, body := exchange(t, req)
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(got, contentType) {
		t.Fatalf("%s: status %d, type %q", url, resp.StatusCode, got)
	}
	return body
}
