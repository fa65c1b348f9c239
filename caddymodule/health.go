package caddymodule

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// healthEvery is how often the store is looked after. It is not asked for anything.
const healthEvery = time.Second

// healthWatch tells the log when the store stops working, and when it works again.
// Requests that fail for that reason meanwhile are not logged one by one.
type healthWatch struct {
	health func() error
	logger *slog.Logger
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func (h *healthWatch) start() {
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.done.Go(func() {
		tick := time.NewTicker(healthEvery)
		defer tick.Stop()
		for ill := false; ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			switch err := h.health(); {
			case err != nil && !ill:
				ill = true
				h.logger.Error("push does not work; sites are served without it", "error", err)
			case err == nil && ill:
				ill = false
				h.logger.Info("push works again")
			}
		}
	})
}

// stop ends it. It may be called again, and before start.
func (h *healthWatch) stop() {
	if h.cancel != nil {
		h.cancel()
	}
	h.done.Wait()
}

// readInTime returns when read has, or after keysPatience: it may wait for somebody who
// writes to a disk that does not answer.
func readInTime(ctx context.Context, read func(context.Context) error) error {
	ended := make(chan error, 1)
	go func() { ended <- read(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-time.After(keysPatience):
		return pushsvc.ErrStalled
	}
}

// ring are the public keys of the key ring.
type ring struct {
	current string
	old     []string
}

const (
	// keysPatience is how long a request waits for the key ring; then it gets what
	// was known last.
	keysPatience = time.Second
	// maxAsking is how many requests may wait for it.
	maxAsking = 64
)

// publicKeys are the key that browsers subscribe with, or empty where there is
// none or the store cannot tell, and the ring's other keys.
func (r *running) publicKeys() (current string, old []string) {
	known := r.ring.Load()
	if r.asking.Add(1) > maxAsking && known != nil {
		r.asking.Add(-1)
		return known.current, known.old
	}
	ctx, cancel := context.WithTimeout(context.Background(), keysPatience)
	defer cancel()
	told := make(chan *ring, 1)
	go func() {
		defer r.asking.Add(-1)
		told <- readRing(ctx, r.store)
	}()
	select {
	case now := <-told:
		if now == nil {
			return "", nil
		}
		known = now
		r.ring.Store(now)
	case <-ctx.Done():
	}
	if known == nil {
		return "", nil
	}
	r.keyed.Store(known.current != "")
	return known.current, known.old
}

// readRing is nil where the store cannot tell.
func readRing(ctx context.Context, store pushsvc.KeyStore) *ring {
	keys, err := store.Keys(ctx)
	if err != nil {
		return nil
	}
	var r ring
	for _, k := range keys {
		if k.Current {
			r.current = k.Public
		} else {
			r.old = append(r.old, k.Public)
		}
	}
	return &r
}
