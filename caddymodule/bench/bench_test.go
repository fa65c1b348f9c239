//go:build linux

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/bench/stats"

	"golang.org/x/net/html"
)

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name   string
		e      stats.Estimate
		budget float64
		want   verdict
	}{
		{"below", stats.Estimate{Median: 1.04, Low: 0.9, High: 1.2}, 1.05, pass},
		{"surely above", stats.Estimate{Median: 1.2, Low: 1.1, High: 1.3}, 1.05, miss},
		{"perhaps above", stats.Estimate{Median: 1.1, Low: 1.0, High: 1.2}, 1.05, unsure},
		{"no budget", stats.Estimate{Median: 9, Low: 9, High: 9}, 0, noLimit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := judge(tt.e, tt.budget); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestGeneratedPages checks the basis of the figures: exact sizes, the same bytes every time, a head that
// browsers parse as one, and real pages' compressibility.
func TestGeneratedPages(t *testing.T) {
	for _, n := range []int{2000, 30_000, 200_000, 2_000_000} {
		p := generatePage(n)
		if len(p) != n {
			t.Errorf("%d bytes, want %d", len(p), n)
		}
		if !bytes.Equal(p, generatePage(n)) {
			t.Errorf("%d: two pages differ", n)
		}
		head := bytes.Index(p, []byte("</head>"))
		if want := min(n/6, largestHead); head < want || head > want+1500 {
			t.Errorf("%d: the head has %d bytes, want about %d", n, head, want)
		}
		doc, err := html.Parse(bytes.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		for node := range doc.Descendants() {
			if node.Data == "style" && node.Parent.Data != "head" {
				t.Errorf("%d: the head ended before </head>", n)
			}
		}
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, _ = w.Write(p)
		_ = w.Close()
		if ratio := float64(n) / float64(out.Len()); ratio < 2 || ratio > 8 {
			t.Errorf("%d: compresses by %.1f", n, ratio)
		}
	}
}

// TestLoad counts against a server in this process: no request is lost, and the first byte of a streamed page
// does not wait for the last.
func TestLoad(t *testing.T) {
	pages := []page{{"p", generatePage(2000)}}
	srv := httptest.NewServer(newUpstream(pages))
	defer srv.Close()
	address := strings.TrimPrefix(srv.URL, "http://")
	p := newPool(address)
	defer p.close()
	got, err := p.load(navigation(address, "/p", asIs), 4, 0, 25)
	if err != nil || got.requests != 100 || len(got.first) != 100 {
		t.Errorf("%d requests, %d times: %v", got.requests, len(got.first), err)
	}
	got, err = p.load(navigation(address, "/p", asIs), 2, 50*time.Millisecond, 0)
	if err != nil || got.requests == 0 {
		t.Errorf("by time: %d requests: %v", got.requests, err)
	}
	var out bytes.Buffer
	a, err := p.open[0].get(navigation(address, "/stream/p", asIs), &out)
	if err != nil || !bytes.Equal(out.Bytes(), pages[0].body) || a.firstByte >= streamPause {
		t.Errorf("streamed: %d bytes, the first after %v: %v", out.Len(), a.firstByte, err)
	}
	if _, err := p.load(navigation(address, "/no-such", asIs), 2, 0, 1); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a missing page: %v", err)
	}
}

// TestPace checks the pace, and that late requests include their wait.
func TestPace(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(20 * time.Millisecond)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer slow.Close()
	address := strings.TrimPrefix(slow.URL, "http://")
	p := newPool(address)
	defer p.close()
	if err := p.resize(4); err != nil {
		t.Fatal(err)
	}
	o := paced{d: 500 * time.Millisecond, perSecond: 40, status: http.StatusNoContent, next: func() []byte { return navigation(address, "/", asIs) }}
	got, err := p.pace(t.Context(), o)
	if err != nil || got.requests != 20 || len(got.first) != 20 {
		t.Errorf("%d requests, %d times, want 20: %v", got.requests, len(got.first), err)
	}
	o.perSecond = 400 // twice what 4 connections can have
	got, err = p.pace(t.Context(), o)
	if last := slices.Max(got.first); err != nil || got.requests != 200 || last < 300*time.Millisecond {
		t.Errorf("%d requests, the latest after %v: %v", got.requests, last, err)
	}
	o.status = http.StatusOK
	if _, err := p.pace(t.Context(), o); err == nil || !strings.Contains(err.Error(), "status 204") {
		t.Errorf("a wrong status: %v", err)
	}
}

// TestCheck refuses answers that don't fit a row's set-up.
func TestCheck(t *testing.T) {
	p := page{"p", generatePage(2000)}
	changed := bytes.Replace(p.body, []byte("</head>"), []byte(snippet+"</head>"), 1)
	c := comparison{coding: asIs}
	for _, tt := range []struct {
		name    string
		injects bool
		coding  string
		body    []byte
		ok      bool
	}{
		{"plain", false, "", p.body, true},
		{"injected", true, "", changed, true},
		{"injected where plain was meant", false, "", changed, false},
		{"plain where injected was meant", true, "", p.body, false},
		{"twice", true, "", bytes.Replace(changed, []byte("</head>"), []byte(snippet+"</head>"), 1), false},
		{"cut", true, "", changed[:len(changed)-200], false},
		{"compressed where it should not be", false, "gzip", p.body, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := check(c, p, tt.injects, tt.coding, bytes.NewReader(tt.body)); (err == nil) != tt.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestCPUTime reads the clock of a child that burns CPU and of one that sleeps.
func TestCPUTime(t *testing.T) {
	busy, idle := exec.Command("sh", "-c", "while :; do :; done"), exec.Command("sleep", "60")
	for _, cmd := range []*exec.Cmd{busy, idle} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		b, err := cpuTime(busy.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		i, err := cpuTime(idle.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if b > 200*time.Millisecond && i < b/2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("busy %v, idle %v", b, i)
		}
	}
	if _, err := cpuTime(1 << 22); err == nil {
		t.Error("a clock of a process that cannot be")
	}
}

func TestParsers(t *testing.T) {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseStatus(raw)
	if err != nil || m.total < 1<<20 || m.anonymous > m.total {
		t.Errorf("own memory %+v: %v", m, err)
	}
	if _, err := parseStatus([]byte("Name:\tx\nVmRSS:\t 12 kB\n")); err == nil {
		t.Error("status without RssAnon is taken")
	}
	if n, err := parseVars([]byte(`{"cmdline":[],"memstats":{"Mallocs":1234567890}}`)); err != nil || n != 1234567890 {
		t.Errorf("%v, %v", n, err)
	}
	for _, bad := range []string{`{"memstats":{}}`, `{`, ``} {
		if _, err := parseVars([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-sizes", "2000, 2000000", "-for", "1m"}, io.Discard)
	if err != nil || len(o.sizes) != 2 || sizeName(o.sizes[0]) != "2kB" || sizeName(o.sizes[1]) != "2MB" || o.total != time.Minute {
		t.Errorf("%+v: %v", o, err)
	}
	for _, bad := range [][]string{{"-sizes", "x"}, {"-sizes", "10"}, {"-epochs", "0"}, {"-rate", "0"}, {"-visitors", "0"}, {"-slice", "0s"}, {"-nope"}} {
		if _, err := parseOptions(bad, io.Discard); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

// TestMain lets the test binary play the upstream, as the command does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == upstreamArgument {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestFailedStart starts the upstream and then a proxy that ends at once: the error has the proxy's own
// output, and nothing is left over.
func TestFailedStart(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	proxy := filepath.Join(t.TempDir(), "proxy")
	script := "#!/bin/sh\necho no such directive >&2\nexit 1\n"
	if err := os.WriteFile(proxy, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	o, err := parseOptions([]string{"-sizes", "2000"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	f, err := start(t.Context(), o, proxy, nil)
	if err == nil || !strings.Contains(err.Error(), plain) || !strings.Contains(err.Error(), "no such directive") {
		t.Errorf("error %v", err)
	}
	if len(f.processes) < 2 {
		t.Fatalf("%d processes were started", len(f.processes))
	}
	f.stop()
	for _, p := range f.processes {
		select {
		case <-p.Done():
		default:
			t.Errorf("process %d is still there", p.PID())
		}
	}
	if _, err := os.Stat(f.dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", f.dir, err)
	}
}

func TestNoPages(t *testing.T) {
	o, err := parseOptions([]string{"-pages", t.TempDir(), "-nginx", ""}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := measure(t.Context(), o, io.Discard); err == nil || !strings.Contains(err.Error(), "no *.html in") {
		t.Errorf("a folder without pages: %v", err)
	}
}
