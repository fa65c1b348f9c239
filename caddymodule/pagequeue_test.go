package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/memstore"
)

// stuckStore is a store whose disk hangs until it is released.
type stuckStore struct {
	store.Store
	free   chan struct{}
	stored atomic.Int64
}

func (s *stuckStore) Track(ctx context.Context, site string, b people.Batch) (people.Tracked, error) {
	<-s.free
	switch n := s.stored.Add(1); {
	case n%7 == 1:
		panic("a panic of the store")
	case n%7 == 2:
		return people.Tracked{}, errors.New("disk full")
	}
	return s.Store.Track(ctx, site, b)
}

// TestPagesNeverWait: pages work although the store hangs, panics or fails;
// entries that do not fit into the queue are dropped and counted.
func TestPagesNeverWait(t *testing.T) {
	store := &stuckStore{Store: memstore.New(), free: make(chan struct{})}
	var dropped atomic.Int64
	p := newPages(&service.Service{Store: store, Clock: time.Now}, slog.New(slog.NewTextHandler(io.Discard, nil)), func() { dropped.Add(1) })
	const pagesPut = 2 * pageQueues * pageQueueLen
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range pagesPut {
			p.put(pageTold{site: "a.example", batch: people.Batch{Device: pushsvc.DeviceID{byte(n), byte(n >> 8), 1}, At: time.Now(), Entries: []people.Entry{{Kind: people.EntryEvent, Name: "E", Time: time.Now()}}}})
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("a page waits for the store")
	}
	full := dropped.Load()
	if full < pagesPut-pageQueues*(pageQueueLen+1) || full == pagesPut {
		t.Errorf("%d of %d were left out", full, pagesPut)
	}
	close(store.free)
	p.stop()
	p.put(pageTold{}) // after the end it does nothing
	sum, err := store.EventSummary(t.Context(), "a.example")
	if err != nil || len(sum) != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	tried := store.stored.Load()
	if tried != pagesPut-full || sum[0].Count < tried*5/7-1 || sum[0].Count > tried*5/7+2 {
		t.Errorf("of %d, %d were left out, %d tried, %d stored", pagesPut, full, tried, sum[0].Count)
	}
}

// TestPagesFair: a client that floods the queue costs no other client an entry.
func TestPagesFair(t *testing.T) {
	store := &stuckStore{Store: memstore.New(), free: make(chan struct{})}
	p := newPages(&service.Service{Store: store, Clock: time.Now}, slog.New(slog.NewTextHandler(io.Discard, nil)), func() {})
	tell := func(client, name string, n int) {
		p.put(pageTold{site: "a.example", client: netip.MustParseAddr(client), batch: people.Batch{
			Device: pushsvc.DeviceID{byte(n), byte(n >> 8), 1}, At: time.Now(), Entries: []people.Entry{{Kind: people.EntryEvent, Name: name, Time: time.Now()}},
		}})
	}
	const flood, genuine = 12_000, 100
	for n := range flood {
		tell("192.0.2.1", "Junk", n)
		if n%(flood/genuine) == 0 {
			tell(fmt.Sprintf("198.51.100.%d", n*genuine/flood%30), "Charged", 1<<15+n*genuine/flood)
		}
	}
	waiting := map[string]int{}
	for _, q := range p.queues {
		q.mu.Lock()
		for _, told := range q.all {
			waiting[told.batch.Entries[0].Name]++
		}
		q.mu.Unlock()
	}
	close(store.free)
	p.stop()
	// The store may already have the first of each queue.
	if waiting["Charged"] < genuine-pageQueues || waiting["Charged"]+waiting["Junk"] > pageQueues*pageQueueLen {
		t.Errorf("waiting: %v; want all %d genuine ones", waiting, genuine)
	}
}

// TestPagesFresh: a known identity isn't stored with each page, another is.
func TestPagesFresh(t *testing.T) {
	p := newPages(nil, slog.New(slog.NewTextHandler(io.Discard, nil)), func() {})
	defer p.stop()
	now := time.Unix(600_000, 0)
	d := pushsvc.DeviceID{1}
	for i, tt := range []struct {
		site, value string
		at          time.Time
		want        bool
	}{
		{"a", "ann", now, true},
		{"a", "ann", now.Add(time.Minute), false},
		{"a", "bob", now, true},
		{"a", "ann", now, true},
		{"b", "ann", now, true},
		{"b", "ann", now.Add(seenFor * time.Second), true},
	} {
		if got := p.isNews(tt.site, d, tt.value, tt.at); got != tt.want {
			t.Errorf("%d: %t", i, got)
		}
	}
}
