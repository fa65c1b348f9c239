package webpush

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames is a push service made of HTTP/2 frames.
type frames struct {
	*http2.Framer
	net.Conn
}

// request reads until the end of a request; 0 at the end of the connection.
func (f *frames) request() uint32 {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return 0
		}
		if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
			return data.StreamID
		}
	}
}

func (f *frames) answer(id uint32, end bool, fields ...string) {
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0)
	for i := 0; i < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block.String()), EndHeaders: true, EndStream: end})
}

// newFrameSink speaks HTTP/2 over TLS. serve is called with each connection, after the greeting, and its
// number from 1.
func newFrameSink(t *testing.T, serve func(f *frames, n int32)) *sink {
	t.Helper()
	s := &sink{authority: newAuthority(t)}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{s.leaf}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	var group sync.WaitGroup
	t.Cleanup(func() { listener.Close(); group.Wait() })
	var count atomic.Int32
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { conn.Close() })
			group.Go(func() {
				defer stop()
				defer conn.Close()
				if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
					return
				}
				f := &frames{http2.NewFramer(conn, conn), conn}
				_ = f.WriteSettings()
				serve(f, count.Add(1))
			})
		}
	})
	return s
}

// TestSendServices: the behaviour of push services over HTTP/2, and its meaning for message and subscription.
func TestSendServices(t *testing.T) {
	t.Parallel()
	status := func(fields ...string) func(*frames, int32) {
		return func(f *frames, _ int32) {
			for id := f.request(); id != 0; id = f.request() {
				f.answer(id, true, append([]string{":status"}, fields...)...)
			}
		}
	}
	says := func(code, text string) func(*frames, int32) {
		return func(f *frames, _ int32) {
			id := f.request()
			f.answer(id, false, ":status", code)
			_ = f.WriteData(id, true, []byte(text))
			f.request()
		}
	}
	later := func(reason Reason, after time.Duration, pause bool) Verdict {
		return Verdict{Class: ClassLater, Reason: reason, RetryAfter: after, PauseOrigin: pause}
	}
	failed := func(reason Reason) Verdict { return Verdict{Class: ClassFailed, Reason: reason} }
	ours := Verdict{Class: ClassOurFault, Reason: ReasonUnauthorized, PauseOrigin: true}
	wrong := Verdict{Class: ClassWrongKey, Reason: ReasonWrongKey}
	at := epoch().Add(90 * time.Second).Format(http.TimeFormat)
	past := epoch().Add(-time.Hour).Format(http.TimeFormat)
	const fcm, mozilla, apple, wns = "fcm.googleapis.com", "updates.push.services.mozilla.com", "web.push.apple.com", "wns2-par02p.notify.windows.com"
	for _, tc := range []struct {
		name, host string
		serve      func(*frames, int32)
		want       Verdict
		maybe      bool
	}{
		{"201", fcm, status("201", "location", "https://fcm.googleapis.com/m/1"), Verdict{Class: ClassAccepted, Reason: ReasonAccepted}, false},
		{"400", fcm, status("400"), failed(ReasonBadRequest), false},
		{"400 with Apple's words", apple, says("400", `{"reason":"VapidPkHashMismatch"}`), wrong, false},
		{"401", mozilla, status("401"), ours, false},
		{"401 with Mozilla's words", mozilla, says("401", `{"message":"VAPID public key mismatch"}`), wrong, false},
		{"403", fcm, status("403"), ours, false},
		{"403 with FCM's words", fcm, says("403", "the credentials do not correspond"), wrong, false},
		{"404", fcm, status("404"), Verdict{Class: ClassGone, Reason: ReasonNotFound}, false},
		{"406", fcm, status("406"), failed(ReasonBadRequest), false},
		{"406 at WNS", wns, status("406", "retry-after", "1800"), later(ReasonThrottled, 30*time.Minute, true), false},
		{"410", apple, status("410"), Verdict{Class: ClassGone, Reason: ReasonGone}, false},
		{"413", mozilla, status("413"), failed(ReasonTooLarge), false},
		{"429", fcm, status("429"), later(ReasonThrottled, 0, true), false},
		{"429 for one device", apple, status("429", "retry-after", "5"), later(ReasonThrottled, 5*time.Second, false), false},
		{"429, seconds", fcm, status("429", "retry-after", "120"), later(ReasonThrottled, 2*time.Minute, true), false},
		{"429, date", fcm, status("429", "retry-after", at), later(ReasonThrottled, 90*time.Second, true), false},
		{"429, past date", fcm, status("429", "retry-after", past), later(ReasonThrottled, time.Second, true), false},
		{"429, a century", fcm, status("429", "retry-after", "3155760000"), later(ReasonThrottled, time.Hour, true), false},
		{"429, beyond numbers", fcm, status("429", "retry-after", strings.Repeat("9", 40)), later(ReasonThrottled, time.Hour, true), false},
		{"429, zero", fcm, status("429", "retry-after", "0"), later(ReasonThrottled, time.Second, true), false},
		{"429, negative", fcm, status("429", "retry-after", "-5"), later(ReasonThrottled, 0, true), false},
		{"429, words", fcm, status("429", "retry-after", "soon"), later(ReasonThrottled, 0, true), false},
		{"500", fcm, status("500"), later(ReasonServerError, 0, false), false},
		{"503", mozilla, status("503", "retry-after", "120"), later(ReasonUnavailable, 2*time.Minute, true), false},
		{"redirect to localhost", fcm, status("307", "location", "https://localhost:2019/load"), failed(ReasonRedirect), false},
		{"hang", fcm, func(f *frames, _ int32) { _, _ = io.Copy(io.Discard, f.Conn) }, later(ReasonTimeout, 0, false), true},
		{"slow loris", fcm, func(f *frames, _ int32) {
			f.request()
			for _, b := range []byte{0, 0, 90, 1, 5, 0, 0, 0, 1, 0x88, 0x88, 0x88, 0x88} {
				_, _ = f.Write([]byte{b})
				time.Sleep(150 * time.Millisecond)
			}
		}, later(ReasonTimeout, 0, false), true},
		{"stream reset", fcm, func(f *frames, _ int32) {
			_ = f.WriteRSTStream(f.request(), http2.ErrCodeInternal)
			f.request()
		}, later(ReasonNetwork, 0, false), true},
		{"connection cut", fcm, func(f *frames, _ int32) { f.request() }, later(ReasonNetwork, 0, false), true},
		{"nonsense", fcm, func(f *frames, _ int32) {
			f.request()
			_, _ = io.WriteString(f.Conn, strings.Repeat("nonsense", 10))
			f.request()
		}, later(ReasonNetwork, 0, false), true},
		{"refused once", fcm, func(f *frames, _ int32) {
			_ = f.WriteRSTStream(f.request(), http2.ErrCodeRefusedStream)
			f.answer(f.request(), true, ":status", "201")
			f.request()
		}, Verdict{Class: ClassAccepted, Reason: ReasonAccepted}, false},
		{"refused for ever", fcm, func(f *frames, _ int32) {
			for id := f.request(); id != 0; id = f.request() {
				_ = f.WriteRSTStream(id, http2.ErrCodeRefusedStream)
			}
		}, later(ReasonNetwork, 0, false), false},
		{"GOAWAY, then another connection", fcm, func(f *frames, n int32) {
			if id := f.request(); n == 1 {
				_ = f.WriteGoAway(0, http2.ErrCodeNo, nil)
			} else {
				f.answer(id, true, ":status", "201")
			}
			f.request()
		}, Verdict{Class: ClassAccepted, Reason: ReasonAccepted}, false},
		{"GOAWAY every time", fcm, func(f *frames, _ int32) {
			f.request()
			_ = f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("exceeded_max_concurrent_streams"))
			f.request()
		}, later(ReasonNetwork, 0, false), false},
		{"GOAWAY that kept it", fcm, func(f *frames, _ int32) {
			id := f.request()
			_ = f.WriteGoAway(id, http2.ErrCodeNo, nil)
		}, later(ReasonNetwork, 0, false), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newFrameSink(t, tc.serve)
			client := s.client(t, func(c *Config) { c.Timeout, c.Clock = 1500*time.Millisecond, epoch })
			r, _ := requestTo(t, tc.host)
			started := time.Now()
			result := client.Send(t.Context(), r)
			if result.Verdict != tc.want || result.MaybeSent != tc.maybe {
				t.Errorf("%+v, error %v", result, result.Err)
			}
			if took := time.Since(started); took > 4*time.Second {
				t.Errorf("took %s", took)
			}
			if n := s.dials.Load(); n > maxUnanswered {
				t.Errorf("%d connections for a message", n)
			}
			checkSecrets(t, r, result)
		})
	}
}

// TestSendBadTLS: nothing is sent over an untrusted connection.
func TestSendBadTLS(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]func(conn net.Conn, leaf tls.Certificate){
		"no TLS":   func(c net.Conn, _ tls.Certificate) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") },
		"an alert": func(c net.Conn, _ tls.Certificate) { _, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 40}) },
		"old version": func(c net.Conn, leaf tls.Certificate) {
			_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{leaf}, MaxVersion: tls.VersionTLS11}).Handshake()
		},
		"other protocol": func(c net.Conn, leaf tls.Certificate) {
			_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{leaf}, NextProtos: []string{"imap"}}).Handshake()
		},
		"another's name": func(c net.Conn, _ tls.Certificate) {
			_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{newAuthority(t).leaf}}).Handshake()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sink{authority: newAuthority(t)}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { listener.Close() })
			s.addr = listener.Addr().String()
			go func() {
				for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
					serve(conn, s.leaf)
					_, _ = io.CopyN(io.Discard, conn, 1) // what it has to say about that
					conn.Close()
				}
			}()
			r, _ := requestTo(t, "fcm.googleapis.com")
			result := s.client(t, func(c *Config) { c.Timeout = 3 * time.Second }).Send(t.Context(), r)
			if result.Class != ClassLater || result.Reason != ReasonTLS || result.MaybeSent {
				t.Errorf("%+v, error %v", result, result.Err)
			}
			checkSecrets(t, r, result)
		})
	}
}

// TestSendHTTP11Required: a service that demands HTTP/1.1 gets it.
func TestSendHTTP11Required(t *testing.T) {
	t.Parallel()
	var over [3]atomic.Int32
	first := newFrameSink(t, func(f *frames, _ int32) {
		over[2].Add(1)
		_ = f.WriteRSTStream(f.request(), http2.ErrCodeHTTP11Required)
		f.request()
	})
	second := newHTTP1Sink(t, func(w http.ResponseWriter, _ *http.Request) {
		over[1].Add(1)
		w.WriteHeader(http.StatusCreated)
	})
	first.pool.AddCert(second.leaf.Leaf)
	client := first.client(t, func(c *Config) {
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if first.dials.Load() == 0 {
				return first.dial(ctx, network, addr)
			}
			return second.dial(ctx, network, addr)
		}
	})
	r, _ := requestTo(t, "wns2-par02p.notify.windows.com")
	for range 3 {
		if result := client.Send(t.Context(), r); result.Class != ClassAccepted {
			t.Errorf("%+v, error %v", result, result.Err)
		}
	}
	if over[2].Load() != 1 || over[1].Load() != 3 {
		t.Errorf("%d connections over HTTP/2, %d requests over HTTP/1.1", over[2].Load(), over[1].Load())
	}
}

// TestSendPanics: a dialer that panics fails the attempt, not the program.
func TestSendPanics(t *testing.T) {
	t.Parallel()
	client := NewClient(Config{Dial: func(context.Context, string, string) (net.Conn, error) { panic(errors.New(secretPath)) }})
	r, _ := requestTo(t, "fcm.googleapis.com")
	for range 2 {
		result := client.Send(t.Context(), r)
		if result.Class != ClassLater || !strings.Contains(fmt.Sprint(result.Err), "panic") {
			t.Errorf("%+v, error %v", result, result.Err)
		}
		checkSecrets(t, r, result)
	}
}
