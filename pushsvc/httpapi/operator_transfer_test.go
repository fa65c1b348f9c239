package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/operator"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
)

// file is a list of n browsers' subscriptions made with the fixture's key.
func (f *fixture) file(n int) string {
	var text strings.Builder
	for i := range n {
		text.WriteString(newBrowser(f, i).json(`,"applicationServerKey":"` + f.key.Public + `"`))
		text.WriteByte('\n')
	}
	return text.String()
}

func (f *fixture) importFile(query, text, media string) answer {
	f.Helper()
	return f.do("POST", f.operator.URL+"/webpush/sites/a.example/subscriptions"+query, text, "Content-Type", media)
}

func TestOperatorImport(t *testing.T) {
	f := newFixture(t)
	text := f.file(3)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	array := "[" + strings.Join(lines, ",") + "]"
	csv := "endpoint,p256dh,auth\n"
	for i := range 2 {
		b := newBrowser(t, 10+i)
		csv += b.endpoint + "," + b.p256dh + "," + b.auth + "\n"
	}
	for _, tt := range []struct{ name, query, text, media, want string }{
		{"dry", "?dryRun=true", text, "application/x-ndjson", `"format":"web-push","dryRun":true,"rows":3,"added":3,"known":0,"conflicting":0,"skipped":0,"refused":0,"faults":[]`},
		{"lines", "", text, "application/x-ndjson", `"rows":3,"added":3,"known":0`},
		{"again, as a list", "", array, "application/json", `"rows":3,"added":0,"known":3`},
		{"csv", "?key=current", csv, "text/csv; charset=utf-8", `"format":"csv","rows":2,"added":2`},
		{"csv again", "?format=csv&key=" + f.key.ID, csv, "application/octet-stream", `"rows":2,"added":0,"known":2`},
		{"nothing", "", "", "application/x-ndjson", `"rows":0`},
		{"faulty", "", "{}\n" + lines[0] + "\n", "application/x-ndjson", `"known":1,"conflicting":0,"skipped":0,"refused":1,"faults":[{"line":1,"row":1,"field":"endpoint","reason":`},
	} {
		a := f.importFile(tt.query, tt.text, tt.media)
		if a.status != 200 || !strings.Contains(a.body, tt.want) {
			t.Errorf("%s: %d %s; want %s", tt.name, a.status, a.body, tt.want)
		}
	}
	if n := f.count(siteA); n != 5 {
		t.Errorf("%d subscriptions", n)
	}
	for _, tt := range []struct {
		name, query, text, media, field string
		status                          int
		says                            string
	}{
		{"media type", "", text, "text/html", "", 415, "text/csv"},
		{"no media type", "", text, "", "", 415, "text/csv"},
		{"format", "?format=xml", text, "text/csv", "format", 400, "onesignal"},
		{"wrong format", "?format=onesignal", text, "text/csv", "", 400, "is a table"},
		{"no format", "", "hello\n", "text/csv", "", 400, "neither JSON nor a table"},
		{"key", "?key=x", text, "text/csv", "key", 400, "import the pair"},
		{"dryRun", "?dryRun=perhaps", text, "text/csv", "dryRun", 400, "neither true nor false"},
	} {
		a := f.importFile(tt.query, tt.text, tt.media)
		if p := a.problem(t); a.status != tt.status || p.Field != tt.field || !strings.Contains(p.Detail, tt.says) {
			t.Errorf("%s: %d %s; want %d %s %q", tt.name, a.status, a.body, tt.status, tt.field, tt.says)
		}
	}
	if a := f.do("POST", f.operator.URL+"/webpush/sites/a%20b/subscriptions", text, "Content-Type", "text/csv"); a.status != 400 || a.problem(t).Field != "site" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestOperatorExport(t *testing.T) {
	f := newFixture(t)
	var want []browser
	for i := range 7 {
		b, _ := f.subscribe(siteA, i)
		want = append(want, b)
	}
	f.subscribe(siteB, 9)
	a := f.do("GET", f.operator.URL+"/webpush/sites/A.example/subscriptions", "", "Accept", "text/html;q=0.5, application/x-ndjson")
	if a.status != 200 || a.header.Get("Content-Type") != "application/x-ndjson" || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", a.status, a.header)
	}
	lines := strings.Split(strings.TrimSuffix(a.body, "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines", len(lines))
	}
	for i, b := range want {
		for _, part := range []string{b.endpoint, b.p256dh, b.auth, f.key.Public} {
			if !strings.Contains(lines[i], `"`+part+`"`) {
				t.Errorf("line %d lacks %s: %s", i, part, lines[i])
			}
		}
	}
	if got := f.importFile("", a.body, "application/x-ndjson"); !strings.Contains(got.body, `"known":7`) {
		t.Errorf("%s", got.body)
	}
	// An export without subscribers is empty, of an unknown site an error.
	for _, s := range f.subscriptions(siteB) {
		if err := f.store.DeleteSubscription(t.Context(), siteB, s.ID); err != nil {
			t.Fatal(err)
		}
	}
	if a := f.do("GET", f.operator.URL+"/webpush/sites/b.example/subscriptions", "", "Accept", "application/x-ndjson"); a.status != 200 || a.body != "" || a.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%d %q %v", a.status, a.body, a.header)
	}
	if a := f.do("GET", f.operator.URL+"/webpush/sites/c.example/subscriptions", "", "Accept", "application/x-ndjson"); a.status != 404 || a.problem(t).Detail == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// failing is a store that returns one page and then fails, and whose copies end early.
type failing struct {
	store.Store
	pages int
	early bool
}

var errDisk = errors.New("the disk is gone")

func (s *failing) SubscriptionPage(ctx context.Context, site string, after pushsvc.SubscriptionID, limit int) ([]pushsvc.Subscription, error) {
	if s.pages--; s.pages < 0 {
		return nil, errDisk
	}
	return s.Store.SubscriptionPage(ctx, site, after, limit)
}

func (s *failing) Backup(_ context.Context, w io.Writer) (int64, error) {
	if s.early {
		return 0, errDisk
	}
	n, err := w.Write(make([]byte, 1<<20))
	return int64(n), errors.Join(err, errDisk)
}

func (s *failing) Compact(context.Context) (before, after int64, err error) { return 7, 5, nil }

// TestStreamBreaks: an export or backup that fails in the middle must not look like a whole one.
func TestStreamBreaks(t *testing.T) {
	f := newFixture(t)
	if a := f.importFile("", f.file(1200), "application/x-ndjson"); !strings.Contains(a.body, `"added":1200`) {
		t.Fatal(a.body)
	}
	store := &failing{Store: f.store, pages: 1}
	f.service.Store = store
	get := func(path, accept string) (int, error) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", f.operator.URL+"/webpush/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	for _, tt := range []struct{ path, accept string }{{"sites/a.example/subscriptions", "application/x-ndjson"}, {"backup", ""}} {
		if status, err := get(tt.path, tt.accept); status != 200 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %d, %v; want it broken off", tt.path, status, err)
		}
	}
	if log := f.log.String(); strings.Count(log, "broken off") != 2 || strings.Contains(log, "fcm/send") {
		t.Errorf("log: %s", log)
	}
	store.early = true
	for _, path := range []string{"backup", "keys?count=true"} {
		if a := f.operate("GET", path, ""); a.status != 503 || a.problem(t).Detail == "" || a.header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
	if a := f.operate("POST", "compact", ""); a.body != `{"before":7,"after":5}`+"\n" {
		t.Errorf("compact: %d %s", a.status, a.body)
	}
}

// slowly sends a text in pieces.
type slowly struct {
	pieces []string
	pause  time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.pause)
	n := copy(p, s.pieces[0])
	s.pieces = s.pieces[1:]
	return n, nil
}

// TestImportOutlastsServer: an import may take longer than the server's own limit, as long as bytes
// arrive; if the client closes the connection, the rows that arrived whole are kept.
func TestImportOutlastsServer(t *testing.T) {
	f := newFixture(t)
	server := httptest.NewUnstartedServer(operator.New(f.service, f.logger()))
	server.Config.ReadTimeout = 200 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	post := func(ctx context.Context, body io.Reader) (*http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, "POST", server.URL+"/webpush/sites/a.example/subscriptions", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-ndjson")
		return http.DefaultTransport.RoundTrip(r)
	}
	resp, err := post(t.Context(), &slowly{strings.SplitAfter(f.file(6), "\n"), 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || !bytes.Contains(text, []byte(`"added":6`)) {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	if resp, err := post(ctx, &slowly{strings.SplitAfter(f.file(60), "\n"), 50 * time.Millisecond}); err == nil {
		resp.Body.Close()
		t.Error("the client did not hang up")
	}
}

// TestOperatorRotateKey rotates by the API, with counts.
func TestOperatorRotateKey(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	f.subscribe(siteB, 2)
	var key api.Key
	a := f.operate("POST", "keys/rotate", "")
	a.read(t, 201, &key)
	if !key.Current || key.ID == f.key.ID || strings.Contains(strings.ToLower(a.body), "private") {
		t.Errorf("%s", a.body)
	}
	a = f.operate("GET", "keys?count=true", "")
	want := fmt.Sprintf(`"id":%q`, key.ID)
	if !strings.Contains(a.body, want) || !strings.Contains(a.body, `"subscriptions":2`) || !strings.Contains(a.body, `"subscriptions":0`) {
		t.Errorf("%s", a.body)
	}
	if a := f.operate("GET", "keys", ""); strings.Contains(a.body, "subscriptions") {
		t.Errorf("counts that the request did not ask for: %s", a.body)
	}
	if a := f.operate("GET", "keys?count=x", ""); a.status != 400 || a.problem(t).Field != "count" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// endless is a store whose copies never end by themselves.
type endless struct {
	store.Store
	ended chan error
}

func (s *endless) Backup(_ context.Context, w io.Writer) (n int64, err error) {
	page := make([]byte, 64<<10)
	for err == nil {
		var k int
		k, err = w.Write(page)
		n += int64(k)
	}
	s.ended <- err
	return n, err
}

// TestOperatorDeafClient: a client that reads nothing of a copy does not hold the store for ever.
func TestOperatorDeafClient(t *testing.T) {
	f := newFixture(t)
	store := &endless{f.store, make(chan error, 1)}
	f.service.Store = store
	api := operator.New(f.service, f.logger())
	api.Idle = 300 * time.Millisecond
	server := httptest.NewServer(api)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /webpush/backup HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// As long as it reads, it gets more than one deadline's worth.
	for begun := time.Now(); time.Since(begun) < time.Second; time.Sleep(time.Millisecond) {
		if _, err := conn.Read(make([]byte, 256<<10)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-store.ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the copy ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the copy continues for a client that reads nothing")
	}
}
