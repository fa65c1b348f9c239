package service

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrUnsupported says that the store has no such operation of its own.
var ErrUnsupported = errors.New("this storage can't do that by itself; use the means of its database")

// backuper is a store that can copy itself while it is in use.
type backuper interface {
	// Backup writes a consistent copy, which can be opened as a store, and
	// says how many bytes it has.
	Backup(ctx context.Context, w io.Writer) (int64, error)
}

// compacter is a store that can give back the room of what was removed.
type compacter interface {
	// Compact gives the store's bytes before and after.
	Compact(ctx context.Context) (before, after int64, err error)
}

// healthy is a store that knows whether it works.
type healthy interface {
	// Health is nil where it does; pushsvc.ErrStalled where its disk does not
	// answer. It never waits.
	Health() error
}

// Health is nil where the store works, as far as it knows.
func (s *Service) Health() error {
	if h, ok := s.Store.(healthy); ok {
		return h.Health()
	}
	return nil
}

// Backup writes a copy of the whole store to w and says how many bytes it has:
// subscriptions of all sites, messages, and the private keys. ErrUnsupported
// where the store has no way to.
func (s *Service) Backup(ctx context.Context, w io.Writer) (int64, error) {
	b, ok := s.Store.(backuper)
	if !ok {
		return 0, ErrUnsupported
	}
	n, err := b.Backup(ctx, w)
	if err != nil {
		return n, fmt.Errorf("copying the store: %w", err)
	}
	return n, nil
}

// Compact erases what was removed from the store for good and makes it as small
// as it can be. Whoever writes meanwhile waits. ErrUnsupported where the store
// has no way to.
func (s *Service) Compact(ctx context.Context) (before, after int64, err error) {
	c, ok := s.Store.(compacter)
	if !ok {
		return 0, 0, ErrUnsupported
	}
	if before, after, err = c.Compact(ctx); err != nil {
		return 0, 0, fmt.Errorf("compacting the store: %w", err)
	}
	return before, after, nil
}
