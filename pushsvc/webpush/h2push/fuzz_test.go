package h2push

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// scripted is a connection to a peer that sends fixed bytes, after it has received all requests, and then
// closes.
type scripted struct {
	net.Conn
	say      *bytes.Reader
	requests sync.WaitGroup
	closed   chan struct{}
	once     sync.Once
	greeting int // bytes sent before it waits for requests
}

func (s *scripted) Read(p []byte) (int, error) {
	if s.greeting == 0 {
		s.requests.Wait()
		s.greeting = 100
	}
	n, err := s.say.Read(p[:min(len(p), s.greeting)])
	s.greeting -= n
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (s *scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (s *scripted) Close() error                     { s.once.Do(func() { close(s.closed) }); return nil }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// script returns the bytes of a server that begins correctly.
func script(do func(f *http2.Framer, header func(fields ...string) []byte)) []byte {
	var out bytes.Buffer
	framer := http2.NewFramer(&out, nil)
	framer.AllowIllegalWrites = true
	_ = framer.WriteSettings()
	var encoded bytes.Buffer
	encoder := hpack.NewEncoder(&encoded)
	do(framer, func(fields ...string) []byte {
		encoded.Reset()
		for i := 0; i < len(fields); i += 2 {
			_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		return bytes.Clone(encoded.Bytes())
	})
	return out.Bytes()
}

func fuzzSeeds() [][]byte {
	type header = func(fields ...string) []byte
	return [][]byte{
		script(func(f *http2.Framer, h header) {
			for id := uint32(1); id < 6; id += 2 {
				_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h(":status", "201", "location", "/m/1"), EndHeaders: true, EndStream: true})
			}
		}),
		script(func(f *http2.Framer, h header) {
			block := h(":status", "429", "retry-after", "120", "x", strings.Repeat("y", 50))
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:3], PadLength: 9})
			_ = f.WriteContinuation(1, true, block[3:])
			_ = f.WriteDataPadded(1, true, []byte("slow down"), make([]byte, 5))
			_ = f.WriteRSTStream(3, http2.ErrCodeRefusedStream)
			_ = f.WriteGoAway(3, http2.ErrCodeNo, []byte("bye"))
		}),
		script(func(f *http2.Framer, h header) {
			_ = f.WritePing(false, [8]byte{1})
			_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0},
				http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
			_ = f.WriteWindowUpdate(0, 1)
			_ = f.WriteWindowUpdate(1, 1<<31-1)
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: h(":status", "103"), EndHeaders: true})
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: h(":status", "410"), EndHeaders: true})
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: h("x-trailer", "1"), EndHeaders: true, EndStream: true})
			_ = f.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: h(":path", "/"), EndHeaders: true})
		}),
	}
}

// FuzzServer lets a server send any bytes to three requests: each gets one outcome, and nothing is left over.
func FuzzServer(f *testing.F) {
	for _, seed := range fuzzSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		const n = 3
		nc := &scripted{say: bytes.NewReader(said), closed: make(chan struct{}), greeting: 9}
		if len(said) > 3 { // the first frame complete
			nc.greeting += int(said[0])<<16 | int(said[1])<<8 | int(said[2])
		}
		nc.requests.Add(n)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		c, err := New(ctx, nc, Config{})
		if err != nil {
			return
		}
		words := make(chan string, n+1)
		for range n {
			go func() {
				c.mu.Lock()
				c.reserved++ // regardless of the limit: the outcome matters
				c.mu.Unlock()
				time.AfterFunc(0, nc.requests.Done)
				words <- outcome(c.RoundTrip(ctx, testRequest(100), time.Now().Add(5*time.Second)))
			}()
		}
		for range n {
			if word := <-words; word == "timeout" || strings.HasPrefix(word, "no") {
				t.Errorf("outcome %s of a connection that was closed", word)
			}
		}
		expectDone(t, c)
		if left := c.InFlight(); left != 0 || len(words) != 0 {
			t.Errorf("%d requests left", left)
		}
		<-nc.closed
	})
}
