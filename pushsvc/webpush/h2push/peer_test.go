package h2push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestMain checks that tests leave no goroutines.
func TestMain(m *testing.M) {
	code := m.Run()
	for range 100 {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !strings.Contains(string(stacks), "h2push.(*Conn)") {
			os.Exit(code)
		}
		time.Sleep(50 * time.Millisecond)
	}
	fmt.Println("goroutines of a Conn are left")
	os.Exit(1)
}

// rawPeer is a server made of frames, for behaviour that real servers don't have.
type rawPeer struct {
	*http2.Framer
	t    *testing.T
	conn *net.TCPConn

	decoder *hpack.Decoder
	fields  map[string]string // of the last request read
	body    []byte
	encoded block
	encoder *hpack.Encoder
	resets  []http2.ErrCode // that the client sent
	pongs   int
	goAway  *http2.ErrCode
}

// testConfig returns times that tests can wait for.
func testConfig() Config {
	return Config{BodyTimeout: 150 * time.Millisecond, PingTimeout: 300 * time.Millisecond, WriteTimeout: time.Second}
}

// pair returns the two ends of a TCP connection.
func pair(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}

func newRawPeer(t *testing.T, conn *net.TCPConn) *rawPeer {
	p := &rawPeer{Framer: http2.NewFramer(conn, conn), t: t, conn: conn, fields: map[string]string{}}
	p.AllowIllegalWrites = true
	p.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) { p.fields[f.Name] = f.Value })
	p.encoder = hpack.NewEncoder(&p.encoded)
	return p
}

// startRaw connects a Conn to a server that sends the settings and then runs serve.
func startRaw(t *testing.T, config Config, settings []http2.Setting, serve func(*rawPeer)) *Conn {
	t.Helper()
	client, server := pair(t)
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer server.Close()
		p := newRawPeer(t, server)
		if _, err := io.ReadFull(server, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		_ = p.WriteSettings(settings...)
		serve(p)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := New(ctx, client, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Shutdown() // which sends the last frames
		expectDone(t, conn)
		select {
		case <-served:
		case <-time.After(5 * time.Second):
			server.Close() // serve waits for something that does not come
			<-served
		}
	})
	return conn
}

func expectDone(t testing.TB, c *Conn) {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(5 * time.Second):
		t.Error("the connection does not end")
	}
}

// next reads a frame, nil at the end, and records what the client says about the connection.
func (p *rawPeer) next() http2.Frame {
	frame, err := p.ReadFrame()
	if err != nil {
		return nil
	}
	switch f := frame.(type) {
	case *http2.RSTStreamFrame:
		p.resets = append(p.resets, f.ErrCode)
	case *http2.PingFrame:
		if f.IsAck() {
			p.pongs++
		}
	case *http2.GoAwayFrame:
		p.goAway = &f.ErrCode
	}
	return frame
}

// request reads a whole request; 0 when the connection ended. Windows are opened again if asked for.
func (p *rawPeer) request() uint32 {
	p.body = nil
	for {
		switch f := p.next().(type) {
		case nil:
			return 0
		case *http2.HeadersFrame:
			clear(p.fields)
			if _, err := p.decoder.Write(f.HeaderBlockFragment()); err != nil {
				p.t.Errorf("header block: %v", err)
			}
			if f.StreamEnded() {
				return f.StreamID
			}
		case *http2.DataFrame:
			p.body = append(p.body, f.Data()...)
			if f.StreamEnded() {
				return f.StreamID
			}
		}
	}
}

// head reads a request's header without its body.
func (p *rawPeer) head() uint32 {
	for {
		switch f := p.next().(type) {
		case nil:
			return 0
		case *http2.HeadersFrame:
			_, _ = p.decoder.Write(f.HeaderBlockFragment())
			return f.StreamID
		}
	}
}

// drain reads until the connection ends.
func (p *rawPeer) drain() {
	for p.next() != nil {
	}
}

func (p *rawPeer) block(fields ...string) []byte {
	p.encoded.b = nil
	for i := 0; i < len(fields); i += 2 {
		_ = p.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return p.encoded.b
}

func (p *rawPeer) header(id uint32, end bool, fields ...string) {
	_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(fields...), EndHeaders: true, EndStream: end})
}

// status answers without a body.
func (p *rawPeer) status(id uint32, status int) { p.header(id, true, ":status", strconv.Itoa(status)) }

func testRequest(body int) *Request {
	return &Request{
		Authority: "push.example.net", Path: "/wp/secret-secret-secret",
		Header: []Field{{"user-agent", "test"}, {"ttl", "60"}},
		Body:   []byte(strings.Repeat("b", body)),
	}
}

// outcome returns the result of a request in a word: its status, "again" if it was not processed, "timeout",
// or "lost".
func outcome(response Response, err error) string {
	var failure *Error
	switch {
	case err == nil:
		return strconv.Itoa(response.Status)
	case !errors.As(err, &failure):
		return "no *Error: " + err.Error()
	case failure.Unprocessed:
		return "again"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "lost"
}

const testTimeout = 2 * time.Second

// send reserves a stream, waiting for it, and makes a request.
func send(t testing.TB, c *Conn, r *Request) (Response, error) {
	t.Helper()
	for until := time.Now().Add(5 * time.Second); !c.Reserve(); {
		if c.Retired() || time.Now().After(until) {
			return Response{}, &Error{Unprocessed: true, cause: ErrFull}
		}
		time.Sleep(time.Millisecond)
	}
	return c.RoundTrip(t.Context(), r, time.Now().Add(testTimeout))
}

// sendMany makes n concurrent requests, in order, and counts their outcomes.
func sendMany(t testing.TB, c *Conn, n, body int) map[string]int {
	t.Helper()
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		got   = map[string]int{}
	)
	for range n {
		group.Go(func() {
			word := outcome(send(t, c, testRequest(body)))
			mu.Lock()
			defer mu.Unlock()
			got[word]++
		})
	}
	finished := make(chan struct{})
	go func() { group.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(10 * time.Second):
		t.Fatal("requests without an outcome")
	}
	return got
}
