package webpush

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func hostsOf(c *Client) int {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return len(c.pool.hosts)
}

// TestPoolForgets: visitors choose the names below a wildcard, so an unreachable name must leave nothing in
// memory.
func TestPoolForgets(t *testing.T) {
	t.Parallel()
	client := NewClient(Config{Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}})
	for _, host := range []string{"a.notify.windows.com", "b.notify.windows.com", "c.notify.windows.com"} {
		r, _ := requestTo(t, host)
		if result := client.Send(t.Context(), r); result.Reason != ReasonDNS {
			t.Errorf("%+v", result)
		}
	}
	if n := hostsOf(client); n != 0 {
		t.Errorf("%d hosts kept", n)
	}
}

func TestPoolCloses(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	s := newSink(t, func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		w.WriteHeader(http.StatusCreated)
	})
	client := s.client(t, nil)
	r, _ := requestTo(t, "fcm.googleapis.com")
	done := make(chan Result)
	go func() { done <- client.Send(t.Context(), r) }()
	<-entered
	client.Close()
	close(leave)
	if result := <-done; result.Class != ClassAccepted {
		t.Errorf("a send in progress: %+v", result)
	}
	waitFor(t, func() bool { return hostsOf(client) == 0 })
}

// TestPoolDialsOnce: with any number of waiting senders, one connection at a time is opened, and a failed one
// fails all of them.
func TestPoolDialsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, dialsOnce)
}

func dialsOnce(t *testing.T) {
	var dials, together atomic.Int32
	client := NewClient(Config{Dial: func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		if together.Add(1) > 1 {
			t.Error("two dials at once")
		}
		time.Sleep(100 * time.Millisecond)
		together.Add(-1)
		return nil, errors.New("no route")
	}})
	key := mustKeyPair(t)
	var group sync.WaitGroup
	for range 50 {
		r, _ := requestTo(t, "fcm.googleapis.com")
		r.Key = key
		group.Go(func() {
			if result := client.Send(t.Context(), r); result.Reason != ReasonNetwork || result.MaybeSent {
				t.Errorf("%+v", result)
			}
		})
	}
	started := time.Now()
	group.Wait()
	if n, took := dials.Load(), time.Since(started); n > 2 || took > 200*time.Millisecond {
		t.Errorf("%d dials in %s", n, took)
	}
}

// TestPoolHTTP1: a service without HTTP/2 gets more connections, but a limited number.
func TestPoolHTTP1(t *testing.T) {
	t.Parallel()
	s := newHTTP1Sink(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("HTTP/%d", r.ProtoMajor)
		}
		time.Sleep(20 * time.Millisecond)
		w.WriteHeader(http.StatusCreated)
	})
	client := s.client(t, nil)
	key := mustKeyPair(t)
	var group sync.WaitGroup
	for range 60 {
		r, _ := requestTo(t, "wns2-par02p.notify.windows.com")
		r.Key = key
		group.Go(func() {
			for range 5 {
				if result := client.Send(t.Context(), r); result.Class != ClassAccepted {
					t.Errorf("%+v", result)
				}
			}
		})
	}
	group.Wait()
	if n := s.dials.Load(); n <= maxConns || n > maxConns1 {
		t.Errorf("%d connections", n)
	}
}
