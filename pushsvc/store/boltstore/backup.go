package boltstore

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Backup writes a consistent copy of the whole store, keys included, while the
// store is in use, and returns its size in bytes. The copy is a file that Open
// opens. It is made beside the store first, which needs room for it: whoever
// takes it slowly, or not at all, holds up nobody. Close ends it with
// pushsvc.ErrClosed.
func (s *Store) Backup(ctx context.Context, w io.Writer) (int64, error) {
	n, err := s.backup(ctx, w)
	if err != nil {
		return 0, fmt.Errorf("backing up the push store: %w", withErrno(err))
	}
	return n, nil
}

func (s *Store) backup(ctx context.Context, w io.Writer) (int64, error) {
	tmp, err := os.CreateTemp(filepath.Dir(s.path), compacting(s.path)+"*") // which the next start removes
	if err != nil {
		return 0, err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	_ = os.Remove(tmp.Name()) // nobody else is to see it; on Windows it stays until the end
	_, err = read(ctx, s, func(tx *bolt.Tx) (int64, error) {
		return tx.WriteTo(patient{ctx, s.closing, tmp})
	})
	if err != nil {
		return 0, err
	}
	if _, err := tmp.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	return io.Copy(patient{ctx, s.closing, w}, tmp)
}

// patient is a writer until the context ends or the store is to be closed.
type patient struct {
	ctx     context.Context
	closing <-chan struct{}
	w       io.Writer
}

// Write implements io.Writer.
func (p patient) Write(b []byte) (int, error) {
	select {
	case <-p.closing:
		return 0, pushsvc.ErrClosed
	case <-p.ctx.Done():
		return 0, p.ctx.Err()
	default:
		return p.w.Write(b)
	}
}
