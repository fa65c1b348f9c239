package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
)

// Old messages are removed some at a time, with pauses, because each has the
// receipts of its audience.
const (
	pruneEvery = 24 * time.Hour
	pruneFirst = time.Minute // the start itself has enough work
	pruneBatch = 10
	pruneRows  = 500
	pruneHours = 10 // each may have 250 counters
	prunePause = 200 * time.Millisecond
)

// pruner removes old messages and old data of visitors.
type pruner struct {
	store  store.Store
	logger *slog.Logger
	keep   time.Duration // of messages; for ever if not positive
	retain time.Duration // of events and anonymous profiles; likewise
	first  time.Duration // until the first run
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

// stop stops pruning after the current removal.
func (p *pruner) stop() {
	if p.cancel != nil {
		p.cancel()
	}
	p.done.Wait()
}

func (p *pruner) prune(ctx context.Context) {
	defer func() {
		if r := recover(); r != nil {
			p.logger.Error("removing old data failed unexpectedly", "panic", fmt.Sprint(r))
		}
	}()
	if p.keep > 0 {
		p.pruneMessages(ctx)
	}
	if p.retain > 0 {
		if err := p.prunePeople(ctx, time.Now().Add(-p.retain)); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, pushsvc.ErrClosed) {
			p.logger.Error("removing old events", "error", err)
		}
	}
}

// prunePeople removes events and anonymous profiles from before the time, and
// folds pop-ups' counters of earlier hours.
func (p *pruner) prunePeople(ctx context.Context, before time.Time) error {
	sites, err := p.store.PeopleSites(ctx)
	if err != nil {
		return err
	}
	events, profiles, hours := 0, 0, 0
	for _, site := range sites {
		after := ""
		for _, part := range []struct {
			count *int
			piece func() (n int, more bool, err error)
		}{
			{&hours, func() (int, bool, error) {
				n, err := p.store.FoldPopups(ctx, site.Site, before, pruneHours)
				return n, n >= pruneHours, err
			}},
			{&events, func() (int, bool, error) {
				n, err := p.store.PruneHistory(ctx, site.Site, before, pruneRows)
				return n, n >= pruneRows, err
			}},
			{&profiles, func() (n int, _ bool, err error) {
				after, n, err = p.store.PruneAnonymous(ctx, site.Site, after, before, pruneRows)
				return n, after != "", err
			}},
		} {
			if err := inPieces(ctx, part.count, part.piece); err != nil {
				return err
			}
		}
	}
	if events+profiles+hours > 0 {
		p.logger.Info("old events were removed", "batches", events, "anonymous_profiles", profiles, "hours_of_popups", hours, "older_than", p.retain.String())
	}
	return nil
}

// inPieces repeats piece and counts the results; others can write in between.
func inPieces(ctx context.Context, count *int, piece func() (n int, more bool, err error)) error {
	for {
		n, more, err := piece()
		if err != nil {
			return err
		}
		*count += n
		if !more {
			return nil
		}
		if !pauseBetween(ctx) {
			return ctx.Err()
		}
	}
}

// pauseBetween lets others write; false if the pruner must stop.
func pauseBetween(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(prunePause):
		return true
	}
}

func (p *pruner) pruneMessages(ctx context.Context) {
	total := 0
	for {
		n, err := p.pruneSome(ctx, time.Now().Add(-p.keep))
		if err != nil {
			if !errors.Is(err, context.Canceled) && !errors.Is(err, pushsvc.ErrClosed) {
				p.logger.Error("removing old messages", "error", err)
			}
			return
		}
		if total += n; n == 0 {
			break
		}
		if !pauseBetween(ctx) {
			return
		}
	}
	if total > 0 {
		p.logger.Info("old messages were removed", "messages", total, "older_than", p.keep.String())
	}
}

// pruneSome removes some of the messages that finished before the time, and
// returns their number.
func (p *pruner) pruneSome(ctx context.Context, before time.Time) (int, error) {
	old, err := p.store.Prunable(ctx, before, pruneBatch)
	for i, name := range old {
		if _, err := p.store.PruneMessage(ctx, name, before); err != nil {
			return i, err
		}
	}
	return len(old), err
}
