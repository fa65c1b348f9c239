package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/operator"
)

// countingFailures is a server that counts failures.
func countingFailures(t *testing.T, limit *httpapi.ClientLimit) (f *fixture, counts func(site string) map[string]int64, each map[string]int) {
	f, each = newFixture(t), map[string]int{}
	failures := httpapi.NewFailures(time.Now(), func(code string) { each[code]++ })
	f.public.Close()
	f.public = httptest.NewServer(f.handler(&httpapi.Public{Service: f.service, Logger: f.logger(), EventLimit: limit, Failures: failures}))
	t.Cleanup(f.public.Close)
	operator := operator.New(f.service, f.logger())
	operator.Failures = failures
	f.operator.Close()
	f.operator = httptest.NewServer(operator)
	t.Cleanup(f.operator.Close)
	return f, func(site string) map[string]int64 {
		t.Helper()
		a := f.do("GET", f.operator.URL+"/webpush/sites/"+site+"/failures", "")
		var got api.FailureCounts
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK || got.Since.IsZero() {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return got.Failures
	}, each
}

// TestFailures: the failures that pages report are counted by site and code, and none of it is
// stored.
func TestFailures(t *testing.T) {
	f, counts, each := countingFailures(t, nil)
	for _, tt := range []struct {
		site, body string
		header     []string
		status     int
	}{
		{"a.example", `{"failure":"push_timeout"}`, nil, http.StatusNoContent},
		{"a.example", `{"failure":"push_timeout"}`, nil, http.StatusNoContent},
		{"a.example", `{"failure":"no such code"}`, nil, http.StatusNoContent},
		{"b.example", `{"failure":"unanswered"}`, nil, http.StatusNoContent},
		{"b.example", `{"failure":"unanswered"}`, []string{"Sec-GPC", "1"}, http.StatusNoContent},
		{"b.example", `{"failure":"unanswered"}`, []string{"DNT", "1"}, http.StatusNoContent},
		{"b.example", `{"failure":"unanswered"}`, []string{"Cookie", "__webpush=0"}, http.StatusNoContent},
		{"b.example", `{"failure":"unanswered"}`, []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{"b.example", `{"failure":`, nil, http.StatusBadRequest},
		{"b.example", `{"failure":7}`, nil, http.StatusBadRequest},
	} {
		headers := append([]string{"Content-Type", "text/plain;charset=UTF-8", "Sec-Fetch-Site", "same-origin"}, tt.header...)
		a := f.do("POST", f.public.URL+"/"+tt.site+"/events", tt.body, headers...)
		if a.status != tt.status || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %s %q: %d %s, cookie %q", tt.site, tt.body, tt.header, a.status, a.body, a.header.Get("Set-Cookie"))
		}
	}
	if got := counts("a.example"); !maps.Equal(got, map[string]int64{"push_timeout": 2, "other": 1}) {
		t.Errorf("a.example: %v", got)
	}
	if got := counts("b.example"); !maps.Equal(got, map[string]int64{"unanswered": 1}) {
		t.Errorf("b.example: %v", got)
	}
	if got := counts("c.example"); len(got) != 0 {
		t.Errorf("c.example: %v", got)
	}
	if !maps.Equal(each, map[string]int{"push_timeout": 2, "other": 1, "unanswered": 1}) {
		t.Errorf("reported: %v", each)
	}
	if sites, err := f.store.Sites(t.Context()); err != nil || len(sites) != 0 {
		t.Errorf("sites have begun: %v, %v", sites, err)
	}
}

// TestFailuresBounded: one client reports no more than it may post of events, and made-up sites do
// not displace one that has visitors.
func TestFailuresBounded(t *testing.T) {
	f, counts, _ := countingFailures(t, httpapi.NewClientLimit(3))
	statuses := map[int]int{}
	for range 5 {
		a := f.do("POST", f.public.URL+"/a.example/events", `{"failure":"push_timeout"}`, "Content-Type", "text/plain", "Sec-Fetch-Site", "same-origin")
		statuses[a.status]++
	}
	if statuses[http.StatusNoContent] != 3 || statuses[http.StatusTooManyRequests] != 2 || counts("a.example")["push_timeout"] != 3 {
		t.Errorf("answers %v, counted %v", statuses, counts("a.example"))
	}

	f, counts, _ = countingFailures(t, nil)
	for i := range 1200 {
		for _, site := range []string{fmt.Sprintf("x%d.example", i), "a.example"} {
			f.do("POST", f.public.URL+"/"+site+"/events", `{"failure":"push_timeout"}`, "Content-Type", "text/plain", "Sec-Fetch-Site", "same-origin")
		}
	}
	if n := counts("a.example")["push_timeout"]; n != 1200 {
		t.Errorf("%d of 1200 counted", n)
	}
	kept := 0
	for i := range 1200 {
		kept += len(counts(fmt.Sprintf("x%d.example", i)))
	}
	if kept >= 1000 {
		t.Errorf("%d made-up sites are kept", kept)
	}
}

// TestFailureCodes: page and server have the same codes, and the page API's reference has the
// cures.
func TestFailureCodes(t *testing.T) {
	source, err := os.ReadFile("../web/src/sdk/failure.ts")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"unanswered", "script_failed", httpapi.FailureOther}
	_, words, _ := strings.Cut(string(source), "const meanings = {")
	words, _, _ = strings.Cut(words, "\n};")
	for _, m := range regexp.MustCompile(`(?m)^  (\w+): "`).FindAllStringSubmatch(words, -1) {
		want = append(want, m[1])
	}
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(httpapi.FailureCodes())); !slices.Equal(got, want) || len(want) < 10 {
		t.Errorf("the server counts %q, pages report %q", got, want)
	}
	readme, err := os.ReadFile("../web/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range want {
		if code != httpapi.FailureOther && (httpapi.FailureCure(code) == "" || !strings.Contains(string(readme), "| `"+code+"` |")) {
			t.Errorf("%s has no cure, or no row in web/README.md", code)
		}
	}
}
