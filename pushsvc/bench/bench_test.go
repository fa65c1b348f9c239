//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// TestMain makes the test binary one of the program's parts, too.
func TestMain(m *testing.M) {
	if os.Getenv(partVariable) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestSmallRun is the whole program, with all of its processes, for few subscribers. The program itself
// checks that each of them gets each message once.
func TestSmallRun(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "memory.svg")
	var out, words bytes.Buffer
	status := run(t.Context(), []string{
		"-n", "1500", "-rounds", "2", "-ours", "600", "-webpush-go", "300", "-node", "", "-plot", picture, "-dir", t.TempDir(), "-web-push", "1",
	}, nil, &out, &words)
	if status != 0 {
		t.Fatalf("status %d: %s", status, &words)
	}
	for _, want := range []string{
		`\| subscribers that got it once +\| 1,500 `,
		`\| never, or twice +\| 0 `,
		`\| CPU of the sender per message +\| [1-9][0-9.]* µs `,
		`\| bytes on the wire per message of 1[0-9][0-9] bytes +\| [3-9][0-9][0-9],`,
		`\| ours again +\| 600 `,
		`\| webpush-go v[0-9.]+ +\| 300 `,
		`node: left out: not wanted`,
	} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("the report has no %s:\n%s", want, &out)
		}
	}
	if b, err := os.ReadFile(picture); err != nil || !bytes.Contains(b, []byte("<polyline")) {
		t.Errorf("the picture: %v", err)
	}
}

// TestNode sends with web-push, if it is available.
func TestNode(t *testing.T) {
	o, err := parseOptions([]string{"-ours", "40", "-webpush-go", "40", "-web-push", "30"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, o)
	store := filepath.Join(b.dir, "webpush.db")
	if _, err := b.fill(t.Context(), store, o.turn); err != nil {
		t.Fatal(err)
	}
	node, err := b.prepareNode(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	if node == nil {
		t.Skip("web-push is " + b.node)
	}
	got, a, _, err := b.send(t.Context(), byNode, o.turnNode, func(task) (*process, error) { return node.start(t.Context()) })
	if err != nil {
		t.Fatal(err)
	}
	if got.Sent != 30 || got.Timed != 15 || got.CPU <= 0 || a.Distinct != 30 {
		t.Errorf("%+v, %+v", got, a)
	}
}

func newBench(t *testing.T, o options) *bench {
	t.Helper()
	sink, err := startSink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sink.end(); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return &bench{
		results:  &results{options: o, cpu: map[string][]float64{}, wire: map[string][]float64{}, plain: map[string]int{}},
		reporter: newReporter(io.Discard), dir: t.TempDir(), sink: sink,
	}
}

// TestWrongCounts lets a sender omit a subscriber, or send twice: the program must notice.
func TestWrongCounts(t *testing.T) {
	b := newBench(t, options{})
	store := filepath.Join(b.dir, "webpush.db")
	if _, err := b.fill(t.Context(), store, 20); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name               string
		expected, sent     int
		distinct, repeated int64
		malformed          int64
		times              int
	}{
		{"all", 20, 20, 20, 0, 0, 1},
		{"one left out", 20, 19, 19, 0, 0, 1},
		{"all twice", 20, 20, 20, 20, 0, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			launch := func(k task) (*process, error) {
				k.Store, k.N = store, tt.sent
				for range tt.times - 1 {
					p, err := startPart(t.Context(), partLoop, k)
					if err != nil {
						return nil, err
					}
					if _, err := p.outcome(func(int) {}); err != nil {
						return nil, err
					}
				}
				return startPart(t.Context(), partLoop, k)
			}
			_, a, _, err := b.send(t.Context(), "the loop", tt.expected, launch)
			var wrong *countError
			if bad := tt.distinct != int64(tt.expected) || tt.repeated > 0; bad != errors.As(err, &wrong) {
				t.Errorf("the error is %v", err)
			}
			if a.Distinct != tt.distinct || a.Repeated != tt.repeated || a.Malformed != tt.malformed {
				t.Errorf("%+v", a)
			}
		})
	}
}

// TestTooMany asks for more subscribers than exist: every sender must report it instead of waiting.
func TestTooMany(t *testing.T) {
	b := newBench(t, options{})
	store := filepath.Join(b.dir, "webpush.db")
	if _, err := b.fill(t.Context(), store, 5); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{partMessage, partLoop} {
		_, _, _, err := b.send(t.Context(), part, 6, func(k task) (*process, error) {
			k.Store = store
			return startPart(t.Context(), part, k)
		})
		if err == nil || !strings.Contains(err.Error(), "does not answer") || !strings.Contains(err.Error(), "sending: ") {
			t.Errorf("%s: %v", part, err)
		}
	}
}

func TestSinkRefuses(t *testing.T) {
	good := func() *http.Request {
		r := httptest.NewRequest(http.MethodPost, string(appendEndpoint(nil, 3, make([]byte, tokenBytes))), bytes.NewReader(make([]byte, smallest)))
		r.Header.Set("Authorization", "vapid t=x, k=y")
		r.Header.Set("Content-Encoding", "aes128gcm")
		r.Header.Set("TTL", "60")
		return r
	}
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		want   int
	}{
		{"good", func(*http.Request) {}, http.StatusCreated},
		{"not signed", func(r *http.Request) { r.Header.Del("Authorization") }, http.StatusBadRequest},
		{"not encrypted", func(r *http.Request) { r.Header.Del("Content-Encoding") }, http.StatusBadRequest},
		{"no TTL", func(r *http.Request) { r.Header.Del("TTL") }, http.StatusBadRequest},
		{"too short", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")) }, http.StatusBadRequest},
		{"too long", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", 1<<17))) }, http.StatusBadRequest},
		{"a GET", func(r *http.Request) { r.Method = http.MethodGet }, http.StatusBadRequest},
		{"unknown", func(r *http.Request) { r.URL.Path = "/fcm/send/x" }, http.StatusBadRequest},
		{"a stranger", func(r *http.Request) {
			r.URL.Path = strings.TrimPrefix(string(appendEndpoint(nil, 9, nil)), "https://"+pushHost)
		}, http.StatusBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := new(sink)
			s.reset(5)
			r, w := good(), httptest.NewRecorder()
			tt.change(r)
			s.ServeHTTP(w, r)
			if accepted := s.report().Distinct == 1; w.Code != tt.want || accepted != (tt.want == http.StatusCreated) {
				t.Errorf("%d, %+v", w.Code, s.report())
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range []uint64{0, 1, 2, 999_999, 1 << 40, math.MaxUint64} {
		endpoint := string(appendEndpoint(nil, i, make([]byte, tokenBytes)))
		if len(endpoint) != 188 || seen[endpoint] {
			t.Errorf("%d: %d characters: %s", i, len(endpoint), endpoint)
		}
		seen[endpoint] = true
		if _, err := webpush.DefaultServices().Check(endpoint); err != nil {
			t.Error(err)
		}
		got, ok := subscriberOf(strings.TrimPrefix(endpoint, "https://"+pushHost))
		if !ok || got != i {
			t.Errorf("%d became %d, %v", i, got, ok)
		}
	}
	for _, path := range []string{"", "/", "/fcm/send/", "/fcm/send/AAAAAAAAAAA", "/wp/AAAAAAAAAAA:APA91bx", "/fcm/send/A!AAAAAAAAA:APA91bx"} {
		if _, ok := subscriberOf(path); ok {
			t.Errorf("%q is a subscriber", path)
		}
	}
}

// TestSubscribers reads what is written as the importer's input.
func TestSubscribers(t *testing.T) {
	var b bytes.Buffer
	if err := writeSubscribers(&b, browsers+2); err != nil {
		t.Fatal(err)
	}
	auths, keys := map[string]bool{}, map[string]bool{}
	for dec := json.NewDecoder(&b); dec.More(); {
		var s peerSubscription
		if err := dec.Decode(&s); err != nil {
			t.Fatal(err)
		}
		if _, _, err := webpush.ParseSubscriptionKeys(s.Keys.P256dh, s.Keys.Auth); err != nil {
			t.Fatal(err)
		}
		auths[s.Keys.Auth], keys[s.Keys.P256dh] = true, true
	}
	if len(auths) != browsers+2 || len(keys) != browsers {
		t.Errorf("%d auth secrets, %d keys", len(auths), len(keys))
	}
}

func TestStatus(t *testing.T) {
	s, err := parseStatus("Name:\tx\nVmRSS:\t  30 kB\nRssAnon:\t  10 kB\nRssFile:\t  20 kB\n")
	if err != nil || s.anonymous != 10<<10 || s.file != 20<<10 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, text := range []string{"", "RssAnon:\t10 kB\n", "RssAnon:\tx kB\nRssFile:\t1 kB\n"} {
		if _, err := parseStatus(text); err == nil {
			t.Errorf("%q is a status", text)
		}
	}
	ballast := bytes.Repeat([]byte{1}, 64<<20)
	if s, err := memoryOf(os.Getpid()); err != nil || s.anonymous < 64<<20 || s.file < 1<<20 {
		t.Errorf("%+v, %v", s, err)
	}
	ballast[0] = 2
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1_234_567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	for least, want := range map[float64]float64{0: 1, 0.3: 0.5, 1: 1, 12: 20, 60: 100} {
		if got := niceStep(least); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: %v, not %v", least, got, want)
		}
	}
}

// TestPlot looks for both lines, inside the picture, in valid XML.
func TestPlot(t *testing.T) {
	samples := []sample{{0, 10 * mib, 3 * mib}, {time.Second, 40 * mib, 400 * mib}, {2 * time.Second, 20 * mib, 390 * mib}}
	for _, all := range [][]sample{samples, samples[:1], nil} {
		var lines []struct {
			Points string `xml:"points,attr"`
		}
		picture := struct {
			Lines any `xml:"polyline"`
		}{&lines}
		if err := xml.Unmarshal(plot(all), &picture); err != nil {
			t.Fatal(err)
		}
		if len(lines) != 2 {
			t.Fatalf("%d lines", len(lines))
		}
		for _, l := range lines {
			points := strings.Fields(l.Points)
			if len(points) != len(all) {
				t.Errorf("%d points of %d samples", len(points), len(all))
			}
			for _, p := range points {
				if !regexp.MustCompile(`^(\d+\.\d),(\d+\.\d)$`).MatchString(p) {
					t.Errorf("point %q", p)
				}
			}
		}
	}
}

// TestVersions checks the names in the table.
func TestVersions(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(mod, []byte("SherClockHolmes/"+byLoop+"\n")) {
		t.Errorf("go.mod has not %s", byLoop)
	}
	var pinned struct{ Dependencies map[string]string }
	text, err := nodeFiles.ReadFile("node/package.json")
	if err == nil {
		err = json.Unmarshal(text, &pinned)
	}
	if err != nil || "web-push "+pinned.Dependencies["web-push"] != byNode {
		t.Errorf("%v, %v", pinned, err)
	}
}

func TestOptions(t *testing.T) {
	for _, args := range []string{"-n 0", "-rounds 0", "-ours 10", "x", "-n x", "-web-push 60000"} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	if o, err := parseOptions(nil, io.Discard); err != nil || o.n != 1_000_000 {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestLastWords starts a process that ends without an answer.
func TestLastWords(t *testing.T) {
	p, err := start("sh", exec.CommandContext(t.Context(), "sh", "-c", "echo no room >&2; exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.outcome(func(int) {}); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("%v", err)
	}
	var end tail
	_, _ = end.Write(bytes.Repeat([]byte("x"), 3*tailLength))
	_, _ = end.Write([]byte("end"))
	if s := end.String(); len(s) != tailLength || !strings.HasSuffix(s, "xend") {
		t.Errorf("%d: %s", len(s), s)
	}
}
