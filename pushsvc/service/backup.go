package service

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrUnsupported means that the store has no such operation.
var ErrUnsupported = errors.New("this storage can't do that by itself; use the means of its database")

// backuper is a store that can copy itself while it is in use.
type backuper interface {
	// Backup writes a consistent copy, which can be opened as a store, and
	// returns its size in bytes.
	Backup(ctx context.Context, w io.Writer) (int64, error)
}

// compacter is a store that can free the room of removed rows.
type compacter interface {
	// Compact returns the store's size in bytes before and after.
	Compact(ctx context.Context) (before, after int64, err error)
}

// healthy is a store that reports whether it works.
type healthy interface {
	// Health returns nil if the store works, or pushsvc.ErrStalled if its disk
	// does not answer. It never waits.
	Health() error
}

// Health returns nil if the store works, as far as it knows.
func (s *Service) Health() error {
	if h, ok := s.Store.(healthy); ok {
		return h.Health()
	}
	return nil
}

// Backup writes a copy of the whole store to w and returns its size in bytes:
// subscriptions of all sites, messages, and the private keys. ErrUnsupported if
// the store can't do that.
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

// Compact erases removed rows for good and makes the store as small as possible.
// Writes wait meanwhile. ErrUnsupported if the store can't do that.
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
