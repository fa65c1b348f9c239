package caddymodule

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// healthEvery is the interval of the health check. It sends no request to the
// store.
const healthEvery = time.Second

// healthWatch logs when the store stops working, and when it works again.
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

// stop ends the watch. It may be called again, and before start.
func (h *healthWatch) stop() {
	if h.cancel != nil {
		h.cancel()
	}
	h.done.Wait()
}

// readInTime returns when read has, or after startPatience: read may wait for a
// writer on a disk that does not answer.
func readInTime(ctx context.Context, read func(context.Context) error) error {
	ended := make(chan error, 1)
	go func() { ended <- read(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-time.After(startPatience):
		return pushsvc.ErrStalled
	}
}

// startPatience is how long the start waits for operators' settings; the rest is
// read in the background.
const startPatience = time.Second

// publicKeys returns the key that browsers subscribe with, and the ring's other keys.
// The first is "" if the ring is empty or the store has not been read yet.
func (r *running) publicKeys() (current string, old []string) {
	for _, k := range r.live.Keys() {
		if k.Current {
			current = k.Public
		} else {
			old = append(old, k.Public)
		}
	}
	return current, old
}
