package h2push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestRequest pins a request on the wire, and the same with a known header.
func TestRequest(t *testing.T) {
	t.Parallel()
	type seen struct {
		fields map[string]string
		body   string
	}
	got := make(chan seen, 4)
	c := startRaw(t, testConfig(), nil, func(p *rawPeer) {
		for id := p.request(); id != 0; id = p.request() {
			fields := map[string]string{}
			for name, value := range p.fields {
				fields[name] = value
			}
			got <- seen{fields, string(p.body)}
			p.status(id, 201)
		}
	})
	for i := range 6 {
		r := testRequest(i)
		r.Path = fmt.Sprintf("/wp/%d?q=ü", i)
		if i == 4 {
			r.Header = append(r.Header, Field{"topic", strings.Repeat("t", 32)})
		}
		if response, err := send(t, c, r); err != nil || response.Status != 201 || response.Header != nil {
			t.Fatalf("%+v, %v", response, err)
		}
		want := map[string]string{
			":method": "POST", ":scheme": "https", ":authority": "push.example.net", ":path": r.Path,
			"content-length": fmt.Sprint(i), "user-agent": "test", "ttl": "60",
		}
		if i == 4 {
			want["topic"] = r.Header[2].Value
		}
		g := <-got
		if fmt.Sprint(g.fields) != fmt.Sprint(want) || g.body != string(r.Body) {
			t.Errorf("request %d: %v with %q, want %v", i, g.fields, g.body, want)
		}
	}
}

// TestAnswer: a refusal has a bounded header and body.
func TestAnswer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("z", 3000)
	resets := make(chan []http2.ErrCode, 1)
	c := startRaw(t, testConfig(), nil, func(p *rawPeer) {
		id := p.request()
		p.header(id, false, ":status", "429", "retry-after", "7", "x-a", "1", "x-a", "2")
		_ = p.WriteData(id, false, bytes.Repeat([]byte("e"), 4096))
		id = p.request()
		fields := []string{":status", "400", "first", "kept"}
		for range 10 {
			fields = append(fields, "x-long", long)
		}
		block := p.block(append(fields, "last", "lost")...)
		_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:1000], EndStream: true})
		_ = p.WriteContinuation(id, true, block[1000:])
		id = p.request()
		p.header(id, false, ":status", "403")
		_ = p.WriteData(id, false, make([]byte, 4097))
		p.request()
		resets <- p.resets
	})
	response, err := send(t, c, testRequest(10))
	want := http.Header{"Retry-After": {"7"}, "X-A": {"1", "2"}}
	if err != nil || fmt.Sprint(response.Header) != fmt.Sprint(want) || len(response.Body) != 4096 {
		t.Errorf("%d, %v, %d bytes, %v", response.Status, response.Header, len(response.Body), err)
	}
	response, err = send(t, c, testRequest(10))
	if err != nil || response.Status != 400 || response.Header.Get("First") != "kept" || response.Header.Get("Last") != "" ||
		len(response.Header["X-Long"]) > 5 {
		t.Errorf("%d, %d fields, %v", response.Status, len(response.Header), err)
	}
	if response, err = send(t, c, testRequest(10)); err != nil || response.Status != 403 || len(response.Body) > 4096 {
		t.Errorf("beyond the window: %d, %d bytes, %v", response.Status, len(response.Body), err)
	}
	_, _ = send(t, c, testRequest(1))
	expectDone(t, c)
	if got := fmt.Sprint(<-resets); got != "[CANCEL FLOW_CONTROL_ERROR]" {
		t.Errorf("resets %s", got)
	}
}

func TestGreeting(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		serve func(p *rawPeer)
		want  string
	}{
		"closes":          {func(p *rawPeer) { _ = p.conn.CloseWrite(); p.drain() }, "EOF"},
		"speaks HTTP/1":   {func(p *rawPeer) { _, _ = io.WriteString(p.conn, "HTTP/1.1 400 Bad Request\r\n\r\n") }, "frame"},
		"speaks first":    {func(p *rawPeer) { _ = p.WritePing(false, [8]byte{}) }, "SETTINGS"},
		"only agrees":     {func(p *rawPeer) { _ = p.WriteSettingsAck() }, "SETTINGS"},
		"bad settings":    {func(p *rawPeer) { _ = p.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1}) }, "out of range"},
		"says nothing":    {func(p *rawPeer) { p.drain() }, "deadline"},
		"drips":           {func(p *rawPeer) { _, _ = p.conn.Write([]byte{0, 0}); p.drain() }, "deadline"},
		"goes away first": {func(p *rawPeer) { _ = p.WriteGoAway(0, http2.ErrCodeNo, nil) }, "SETTINGS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := pair(t)
			go func() {
				defer server.Close()
				_, _ = io.ReadFull(server, make([]byte, len(http2.ClientPreface)))
				tc.serve(newRawPeer(t, server))
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			c, err := New(ctx, client, testConfig())
			if err == nil {
				c.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
			if _, err := client.Write([]byte("x")); err == nil {
				t.Error("the connection was left open")
			}
		})
	}
}

// TestLimit: the peer's limit of streams is obeyed as it changes.
func TestLimit(t *testing.T) {
	t.Parallel()
	limit := func(n uint32) http2.Setting { return http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: n} }
	step := make(chan uint32)
	changed := make(chan struct{}, 10)
	config := testConfig()
	config.MaxStreams = 5
	config.OnChange = func() { changed <- struct{}{} }
	c := startRaw(t, config, []http2.Setting{limit(3)}, func(p *rawPeer) {
		for n := range step {
			_ = p.WriteSettings(limit(n))
		}
	})
	defer close(step)
	<-changed
	free := func() (n int) {
		for c.Reserve() {
			n++
		}
		c.mu.Lock()
		c.reserved -= n
		c.mu.Unlock()
		return n
	}
	if n := free(); n != 3 {
		t.Errorf("%d streams at first", n)
	}
	for _, tc := range []struct{ said, want int }{{4, 4}, {1, 1}, {0, 0}, {1 << 31, 5}} {
		step <- uint32(tc.said)
		<-changed
		if n := free(); n != tc.want {
			t.Errorf("%d streams after %d", n, tc.said)
		}
	}
	if !c.Reserve() {
		t.Fatal("full")
	}
	step <- 0
	<-changed
	_, err := c.RoundTrip(t.Context(), testRequest(1), time.Now().Add(time.Second))
	if outcome(Response{}, err) != "again" || !errors.Is(err, ErrFull) {
		t.Errorf("reserved before, sent after: %v", err)
	}
}

// TestShutdown: requests in flight are answered, no other is started, and the peer gets GOAWAY.
func TestShutdown(t *testing.T) {
	t.Parallel()
	asked, goOn, parted := make(chan struct{}), make(chan struct{}), make(chan *http2.ErrCode, 1)
	c := startRaw(t, testConfig(), nil, func(p *rawPeer) {
		id := p.request()
		close(asked)
		<-goOn
		p.status(id, 201)
		p.drain()
		parted <- p.goAway
	})
	got := make(chan string)
	go func() { got <- outcome(send(t, c, testRequest(10))) }()
	<-asked
	if !c.Reserve() {
		t.Fatal("full")
	}
	c.Shutdown()
	if c.Reserve() {
		t.Error("takes more requests")
	}
	_, err := c.RoundTrip(t.Context(), testRequest(1), time.Now().Add(time.Second))
	if word := outcome(Response{}, err); word != "again" {
		t.Errorf("reserved before, sent after: %s", word)
	}
	close(goOn)
	if word := <-got; word != "201" {
		t.Errorf("under way: %s", word)
	}
	expectDone(t, c)
	if code := <-parted; code == nil || *code != http2.ErrCodeNo {
		t.Errorf("the peer got %v", code)
	}
}

// TestCancel: the caller's context ends a request, and the peer gets RST_STREAM.
func TestCancel(t *testing.T) {
	t.Parallel()
	asked, resets := make(chan struct{}), make(chan []http2.ErrCode, 1)
	c := startRaw(t, testConfig(), nil, func(p *rawPeer) {
		p.request()
		close(asked)
		id := p.request()
		p.status(id, 201)
		resets <- p.resets
		p.drain()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if !c.Reserve() {
		t.Fatal("full")
	}
	_, err := c.RoundTrip(ctx, testRequest(10), time.Now().Add(5*time.Second))
	if word := outcome(Response{}, err); word != "lost" || !errors.Is(err, context.Canceled) {
		t.Errorf("%s, %v", word, err)
	}
	if word := outcome(send(t, c, testRequest(10))); word != "201" {
		t.Errorf("the next: %s", word)
	}
	if got := <-resets; len(got) != 1 || got[0] != http2.ErrCodeCancel {
		t.Errorf("resets %v", got)
	}
}
