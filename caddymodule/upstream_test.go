package caddymodule_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webpush/caddy-webpush/caddymodule"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

// misdeed is one way in which an upstream misbehaves.
type misdeed struct {
	name   string
	want   passage
	status int    // expected of both; 0 for any
	method string // GET unless set
	do     func(c net.Conn)
}

// Parts of answers.
const (
	okLine  = "HTTP/1.1 200 OK\r\n"
	isHTML  = "Content-Type: text/html\r\n"
	chunked = "Transfer-Encoding: chunked\r\n"
	okHTML  = okLine + isHTML
)

// slowed is a connection on which say pauses longer.
type slowed struct {
	*net.TCPConn
	factor time.Duration
}

// say writes the parts with pauses, so that they arrive one by one.
func say(parts ...string) func(net.Conn) {
	return func(c net.Conn) {
		pause := 5 * time.Millisecond
		if s, ok := c.(slowed); ok {
			pause *= s.factor
		}
		drip(pause, parts...)(c)
	}
}

func drip(pause time.Duration, parts ...string) func(net.Conn) {
	return func(c net.Conn) {
		for i, part := range parts {
			if i > 0 {
				time.Sleep(pause)
			}
			if _, err := io.WriteString(c, part); err != nil {
				return
			}
		}
	}
}

// forever writes until the reader is gone.
func forever(begin, more string) func(net.Conn) {
	return func(c net.Conn) {
		_, err := io.WriteString(c, begin)
		more := []byte(strings.Repeat(more, 1+(64<<10)/len(more)))
		for err == nil {
			_, err = c.Write(more)
		}
	}
}

// thenReset ends with a reset in place of a regular close.
func thenReset(do func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		do(c)
		time.Sleep(20 * time.Millisecond) // let the sent bytes arrive
		_ = c.(interface{ SetLinger(int) error }).SetLinger(0)
	}
}

func sized(body string) string {
	return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

// bytewise returns s in chunks of one byte, without the last, empty one.
func bytewise(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString(chunk(s[i : i+1]))
	}
	return b.String()
}

// letters splits s into pieces of n bytes.
func letters(s string, n int) []string {
	var parts []string
	for ; len(s) > n; s = s[n:] {
		parts = append(parts, s[:n])
	}
	return append(parts, s)
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func deflated(s string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

// TestUpstreamMisbehaves compares each answer with that of a proxy without us:
// the same status, header and end, and the same body but for our tags.
func TestUpstreamMisbehaves(t *testing.T) {
	cases := misdeeds()
	byPath := make(map[string]func(net.Conn))
	for i, m := range cases {
		byPath[fmt.Sprintf("/%d", i)] = m.do
		byPath[fmt.Sprintf("/slowed/%d", i)] = func(c net.Conn) { m.do(slowed{c.(*net.TCPConn), 40}) }
	}
	plain, ours := twoSites(t, rawUpstream(t, func(path string, c net.Conn) {
		if do := byPath[path]; do != nil {
			do(c)
		}
	}))
	before := runtime.NumGoroutine()
	t.Run("cases", func(t *testing.T) {
		for i, m := range cases {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				for _, cl := range clients {
					what, err := m.check(t, cl, plain, ours, fmt.Sprintf("/%d", i))
					if err != nil {
						// encode decides by the first piece, and on a busy
						// machine two pieces may reach one site together and the
						// other one by one.
						t.Logf("%s: asked again with longer pauses: %v", cl.name, err)
						what, err = m.check(t, cl, plain, ours, fmt.Sprintf("/slowed/%d", i))
					}
					switch {
					case err != nil:
						t.Errorf("%s: %v", cl.name, err)
					case what != m.want && !(m.want == either && what != padded):
						t.Errorf("%s: the page is %q, want %q", cl.name, what, m.want)
					default:
						t.Logf("%s: %s", cl.name, what)
					}
				}
			})
		}
	})
	t.Run("nothing is left running", func(t *testing.T) {
		deadline := time.Now().Add(answerTimeout)
		for runtime.NumGoroutine() > before+2 {
			if time.Now().After(deadline) {
				stacks := make([]byte, 64<<10)
				t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

// check requests both sites at the same time, and compares the answers.
func (m misdeed) check(t *testing.T, cl client, plain, ours, path string) (passage, error) {
	t.Helper()
	method := m.method
	if method == "" {
		method = "GET"
	}
	type answer struct {
		reply reply
		err   error
	}
	without := make(chan answer, 1)
	go func() {
		r, err := cl.fetch(plain, method, path)
		without <- answer{r, err}
	}()
	got, err := cl.fetch(ours, method, path)
	want := <-without
	if want.err != nil || err != nil {
		t.Fatalf("%s: %v without us, %v with us", cl.name, want.err, err)
	}
	what, err := cl.compare(want.reply, got, m.want == cut)
	if err == nil && m.status != 0 && got.status != m.status {
		t.Errorf("%s: status %d, want %d", cl.name, got.status, m.status)
	}
	return what, err
}

// twoSites runs one Caddy with a site without and one with webpush in front of
// the same upstream, and returns their addresses.
func twoSites(t *testing.T, upstream string) (plain, ours string) {
	t.Helper()
	ports := [2]int{caddytest.FreePort(t), caddytest.FreePort(t)}
	db := filepath.Join(t.TempDir(), "webpush.db")
	var text strings.Builder
	fmt.Fprintf(&text, "{\n\tadmin off\n\tpersist_config off\n\tauto_https off\n\tgrace_period 2s\n\twebpush {\n\t\tstorage bbolt %q\n\t}\n\tlog {\n\t\tlevel FATAL\n\t}\n}\n", db)
	for i, directive := range []string{"", "webpush"} {
		fmt.Fprintf(&text, "http://:%d {\n\tbind 127.0.0.1\n\tencode\n\t%s\n\treverse_proxy %s {\n\t\ttransport http {\n\t\t\tkeepalive off\n\t\t}\n\t}\n}\n", ports[i], directive, upstream)
	}
	if err := caddy.Load(adaptJSON(t, text.String()), true); err != nil {
		t.Fatalf("loading: %v", err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
		if open := caddymodule.OpenStores(); len(open) != 0 {
			t.Errorf("stores still open after the stop: %v", open)
		}
	})
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	return address(0), address(1)
}

// bombBudget is the extra memory that webpush may use for a compressed page.
const bombBudget = 16 << 20

// TestUpstreamBomb: a body that unpacks to a thousand times its size. The sum of
// all its allocations limits what it can occupy at any time.
func TestUpstreamBomb(t *testing.T) {
	zeros := gzipped(strings.Repeat("\x00", 64<<20))
	spaces := gzipped("<!DOCTYPE html><html><head>" + strings.Repeat(" ", 64<<20))
	answers := map[string]string{"/zeros": zeros, "/spaces": spaces, "/small": gzipped(pageHTML)}
	plain, ours := twoSites(t, rawUpstream(t, func(path string, c net.Conn) {
		say(okHTML + "Content-Encoding: gzip\r\n" + sized(answers[path]))(c)
	}))
	for _, cl := range clients {
		for _, path := range []string{"/zeros", "/spaces"} {
			if _, err := cl.fetch(ours, "GET", "/small"); err != nil { // fill pools
				t.Fatal(err)
			}
			without, want := allocated(t, cl, plain, path)
			with, got := allocated(t, cl, ours, path)
			if with > without+bombBudget {
				t.Errorf("%s %s: %d MiB allocated, %d without us", cl.name, path, with>>20, without>>20)
			}
			if got != want {
				t.Errorf("%s %s: %q, without us %q", cl.name, path, got, want)
			}
			t.Logf("%s %s: %d KiB allocated, %d without us", cl.name, path, with>>10, without>>10)
		}
	}
}

// allocated returns the bytes that the process allocated during a page request,
// and the answer's status line.
func allocated(t *testing.T, cl client, address, path string) (uint64, string) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, err := cl.ask(address, "GET", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if err != nil {
		t.Errorf("%s %s: %v", cl.name, path, err)
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, strings.TrimSpace(line)
}
