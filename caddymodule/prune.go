package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// How old messages are removed: some at a time with pauses between, because
// each brings the receipts of its audience with it.
const (
	pruneEvery = 24 * time.Hour
	pruneFirst = time.Minute // after the start, which has enough to do
	pruneBatch = 10
	prunePause = 200 * time.Millisecond
)

// pruner removes messages that ended long ago.
type pruner struct {
	store  pushsvc.Store
	logger *slog.Logger
	keep   time.Duration
	first  time.Duration // until the first time
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// start begins to prune in the background.
func (p *pruner) start() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.done.Add(1)
	go func() {
		defer p.done.Done()
		for wait := p.first; ; wait = pruneEvery {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
				p.prune(ctx)
			}
		}
	}()
}

// stop ends it; what is being removed is finished first.
func (p *pruner) stop() {
	if p.cancel != nil {
		p.cancel()
	}
	p.done.Wait()
}

func (p *pruner) prune(ctx context.Context) {
	defer func() {
		if r := recover(); r != nil {
			p.logger.Error("removing old messages failed unexpectedly", "panic", fmt.Sprint(r))
		}
	}()
	total := 0
	for {
		n, err := p.store.PruneMessages(ctx, time.Now().Add(-p.keep), pruneBatch)
		if err != nil {
			if !errors.Is(err, context.Canceled) && !errors.Is(err, pushsvc.ErrClosed) {
				p.logger.Error("removing old messages", "error", err)
			}
			return
		}
		if total += n; n == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(prunePause):
		}
	}
	if total > 0 {
		p.logger.Info("old messages were removed", "messages", total, "older_than", p.keep.String())
	}
}
