package caddymodule_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

// rawUpstream is a site that writes raw bytes: conduct answers a request in any
// way, then the connection is closed.
func rawUpstream(t *testing.T, conduct func(path string, c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		open.Wait()
	})
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(2 * answerTimeout))
				// The request is read to its end: closing with unread bytes would
				// cause a reset.
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					conduct(r.URL.Path, c)
				}
			})
		}
	})
	return l.Addr().String()
}

// answerTimeout is the time limit of any answer.
const answerTimeout = 15 * time.Second

// client is one way of requesting a page.
type client struct {
	name, proto string
	gzip        bool // requests compression and decompresses
}

var clients = []client{
	{name: "HTTP/1.1", proto: "HTTP/1.1"},
	{name: "compressed", proto: "HTTP/1.1", gzip: true},
	{name: "HTTP/1.0", proto: "HTTP/1.0"},
}

// reply is everything received on a connection.
type reply struct {
	interim         []int // informational answers
	status          int   // 0 if there was no answer
	header, trailer http.Header
	body            []byte
	cut             bool   // the answer was incomplete
	extra           []byte // the bytes after it
}

var errHang = errors.New("no end of the answer in time")

// fetch sends a request and reads until the server closes.
func (cl client) fetch(address, method, path string) (reply, error) {
	c, err := cl.ask(address, method, path)
	if err != nil {
		return reply{}, err
	}
	defer c.Close()
	raw, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return reply{}, fmt.Errorf("%w; got %d bytes", errHang, len(raw))
	}
	return parseReply(raw, method), nil
}

// ask opens a connection with the time limit, and sends a request.
func (cl client) ask(address, method, path string) (net.Conn, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("dialing: %w", err)
	}
	_ = c.SetDeadline(time.Now().Add(answerTimeout))
	var request strings.Builder
	fmt.Fprintf(&request, "%s %s %s\r\nHost: a.example.com\r\nConnection: close\r\n", method, path, cl.proto)
	for k, v := range caddytest.Navigation {
		fmt.Fprintf(&request, "%s: %s\r\n", k, v)
	}
	if cl.gzip {
		request.WriteString("Accept-Encoding: gzip\r\n")
	}
	if _, err := io.WriteString(c, request.String()+"\r\n"); err != nil {
		c.Close()
		return nil, fmt.Errorf("asking: %w", err)
	}
	return c, nil
}

func parseReply(raw []byte, method string) reply {
	var got reply
	r := bufio.NewReader(bytes.NewReader(raw))
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			got.cut = true
			return got
		}
		if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			got.interim = append(got.interim, resp.StatusCode)
			continue
		}
		got.status, got.header = resp.StatusCode, resp.Header
		if resp.ContentLength >= 0 { // ReadResponse removes the field from some
			got.header.Set("Content-Length", fmt.Sprint(resp.ContentLength))
		}
		got.body, err = io.ReadAll(resp.Body)
		got.cut = err != nil
		got.trailer = resp.Trailer
		got.extra, _ = io.ReadAll(r)
		return got
	}
}

// plainBody returns the body without our side's compression, as far as it is
// readable.
func (r reply) plainBody() []byte {
	if !strings.EqualFold(r.header.Get("Content-Encoding"), "gzip") {
		return r.body
	}
	z, err := gzip.NewReader(bytes.NewReader(r.body))
	if err != nil {
		return r.body
	}
	body, _ := io.ReadAll(z)
	return body
}

// passage is the result for an answer that passed through webpush.
type passage string

const (
	injected passage = "injected" // our tags are added, and nothing else has changed
	same     passage = "same"     // nothing has changed
	padded   passage = "padded"   // ignored bytes at the end fill up a promised length
	cut      passage = "cut"      // the upstream broke off, and so did both sites
	either   passage = ""         // as without us: injected, same or cut
)

var tagsPattern = regexp.MustCompile(`<link rel="manifest" href="/manifest\.json"/><script src="/_webpush/sdk\.js" defer="defer" *></script>`)

// fillPattern matches space within an open tag, an end tag that is dropped as it
// isn't closed, or the end of a comment and an unmatched end tag.
var fillPattern = regexp.MustCompile(`^( +|</(title|style|script) +|(-->)?</x +>)$`)

// compare compares the answers with and without webpush. broken means that the
// upstream broke off, which an HTTP/1.0 client may be unable to see.
func (cl client) compare(plain, ours reply, broken bool) (passage, error) {
	broken = plain.cut || broken && cl.proto == "HTTP/1.0"
	switch {
	case plain.cut != ours.cut:
		return "", fmt.Errorf("cut off: %t without us, %t with us", plain.cut, ours.cut)
	case plain.cut && (plain.status == 0 || ours.status == 0):
		return cut, nil // net/http drops a small answer whole
	case plain.status != ours.status:
		return "", fmt.Errorf("status %d without us, %d with us", plain.status, ours.status)
	case len(ours.extra) > 0:
		return "", fmt.Errorf("%d bytes after the answer: %.60q", len(ours.extra), ours.extra)
	case !slices.Equal(plain.interim, ours.interim):
		return "", fmt.Errorf("informational answers %v without us, %v with us", plain.interim, ours.interim)
	case !broken && !cmp.Equal(plain.trailer, ours.trailer):
		return "", fmt.Errorf("trailers: %s", cmp.Diff(plain.trailer, ours.trailer))
	}
	was, is := plain.body, ours.body
	if cl.gzip && !bytes.Equal(was, is) {
		was, is = plain.plainBody(), ours.plainBody()
	}
	if broken {
		return compareBroken(was, is)
	}
	what, err := compareBodies(was, is)
	if err != nil {
		return "", err
	}
	return what, cl.compareHeaders(plain.header, ours.header, ours.header.Get("X-Webpush") != plain.header.Get("X-Webpush"))
}

func compareBodies(was, is []byte) (passage, error) {
	without, tags := takeOut(is, was)
	switch {
	case tags && bytes.Equal(without, was):
		return injected, nil
	case bytes.Equal(is, was):
		return same, nil
	case bytes.HasPrefix(is, was) && fillPattern.Match(is[len(was):]):
		return padded, nil
	}
	return "", fmt.Errorf("body:\n without us %s\n with us    %s", clip(was), clip(is))
}

// compareBroken compares the bytes before a premature end: either may have lost
// the last pieces, but none in the middle, and our tags are not added at such an
// end.
func compareBroken(was, is []byte) (passage, error) {
	without, tags := takeOut(is, was)
	switch {
	case !bytes.HasPrefix(was, without) && !bytes.HasPrefix(without, was):
		return "", fmt.Errorf("cut off, and differs:\n without us %s\n with us    %s", clip(was), clip(is))
	case tags && bytes.HasSuffix(is, []byte("></script>")):
		return "", fmt.Errorf("our tags at the end of a page that was cut off: %s", clip(is))
	}
	return cut, nil
}

// takeOut removes our tags, unless they are the upstream's own.
func takeOut(page, upstreams []byte) ([]byte, bool) {
	at := tagsPattern.FindAllIndex(page, -1)
	if len(at) != len(tagsPattern.FindAllIndex(upstreams, -1))+1 {
		return page, false
	}
	return slices.Concat(page[:at[0][0]], page[at[0][1]:]), true
}

// compareHeaders allows only the changes that the change of the body requires.
func (cl client) compareHeaders(was, is http.Header, changed bool) error {
	was, is = was.Clone(), is.Clone()
	drop := []string{"Date"}
	if changed {
		vary := is.Values("Vary")
		at := slices.Index(vary, "Sec-Fetch-Dest")
		if at < 0 {
			return fmt.Errorf("a changed page whose Vary is %q", vary)
		}
		if vary = slices.Delete(vary, at, at+1); len(vary) > 0 {
			is["Vary"] = vary
		} else {
			is.Del("Vary")
		}
		drop = append(drop, "X-Webpush", "Content-Length", "Etag", "Last-Modified", "Accept-Ranges", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest")
	}
	if cl.gzip { // a few bytes decide whether encode compresses
		drop = append(drop, "Content-Encoding", "Content-Length", "Vary", "Etag", "Accept-Ranges")
	}
	for _, name := range drop {
		was.Del(name)
		is.Del(name)
	}
	if diff := cmp.Diff(was, is); diff != "" {
		return fmt.Errorf("header (- without us, + with us):\n%s", diff)
	}
	return nil
}

// clip returns the beginning and the end of a body, for messages.
func clip(b []byte) string {
	if len(b) <= 400 {
		return fmt.Sprintf("(%d) %q", len(b), b)
	}
	return fmt.Sprintf("(%d) %q ... %q", len(b), b[:200], b[len(b)-200:])
}
