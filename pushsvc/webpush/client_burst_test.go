package webpush

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// burst sends messages from many goroutines at once and counts the outcomes.
func burst(t *testing.T, client *Client, senders, each int) map[Reason]int {
	t.Helper()
	key := mustKeyPair(t)
	var (
		group   sync.WaitGroup
		mu      sync.Mutex
		results = map[Reason]int{}
	)
	for range senders {
		r, _ := requestTo(t, "fcm.googleapis.com")
		r.Key = key
		group.Go(func() {
			for range each {
				result := client.Send(t.Context(), r)
				mu.Lock()
				results[result.Reason]++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return results
}

// TestSendColdBurst: hundreds of senders on a cold client share a few connections.
func TestSendColdBurst(t *testing.T) {
	t.Parallel()
	s := newSink(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(20 * time.Millisecond)
		w.WriteHeader(http.StatusCreated)
	})
	results := burst(t, s.client(t, nil), 400, 3)
	t.Logf("%d connections", s.dials.Load())
	if results[ReasonAccepted] != 1200 || len(results) != 1 {
		t.Errorf("outcomes %v", results)
	}
	if n := s.dials.Load(); n > maxConns {
		t.Errorf("%d connections", n)
	}
}

// TestSendRetiredConnections: what is in flight when a service retires a connection (GOAWAY) still arrives,
// once.
func TestSendRetiredConnections(t *testing.T) {
	t.Parallel()
	var served atomic.Int32
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if served.Add(1)%100 == 0 {
			w.Header().Set("Connection", "close") // GOAWAY in HTTP/2
		}
		time.Sleep(5 * time.Millisecond)
		w.WriteHeader(http.StatusCreated)
	})
	results := burst(t, s.client(t, nil), 40, 50)
	t.Logf("%d connections", s.dials.Load())
	if results[ReasonAccepted] != 2000 || len(results) != 1 || served.Load() != 2000 {
		t.Errorf("outcomes %v, %d served", results, served.Load())
	}
	if n := s.dials.Load(); n < 10 || n > 20+maxConns {
		t.Errorf("%d connections for 20 retired ones", n)
	}
}

// TestSendRecovers: cut connections, failed dials and canceled sends don't use up connections for good.
// Single attempts may fail; only these two outcomes are right, and the client must recover.
func TestSendRecovers(t *testing.T) {
	t.Parallel()
	s := newSink(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(2 * time.Millisecond)
		w.WriteHeader(http.StatusCreated)
	})
	var dials atomic.Int32
	client := s.client(t, func(c *Config) {
		c.Timeout = 3 * time.Second
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials.Add(1)%3 == 0 {
				return nil, errors.New("no route")
			}
			return s.dial(ctx, network, addr)
		}
	})
	r, _ := requestTo(t, "fcm.googleapis.com")
	for round := range 40 {
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i)*time.Millisecond)
				defer cancel()
				if i%2 == 0 {
					ctx = t.Context()
				}
				result := client.Send(ctx, r)
				if result.Class != ClassAccepted && result.Class != ClassLater {
					t.Errorf("round %d: %+v", round, result)
				}
			})
		}
		s.drop()
		group.Wait()
	}
	for attempt := 0; client.Send(t.Context(), r).Class != ClassAccepted; attempt++ {
		if attempt == 10 {
			t.Fatal("does not recover")
		}
	}
}
