package boltstore

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// Backup writes a consistent copy of the whole store, including the keys, while
// the store is in use, and returns its size in bytes. Open can open the copy.
// Backup first copies to a temporary file beside the store, which needs room for
// it, so that a slow reader of w blocks no other caller. Close cancels it with
// pushsvc.ErrClosed.
func (s *Store) Backup(ctx context.Context, w io.Writer) (int64, error) {
	n, err := s.backup(ctx, w)
	if err != nil {
		return 0, fmt.Errorf("backing up the push store: %w", withErrno(err))
	}
	return n, nil
}

func (s *Store) backup(ctx context.Context, w io.Writer) (int64, error) {
	tmp, err := s.copyOut(ctx)
	if err != nil {
		return 0, err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	return io.Copy(patient{ctx: ctx, closing: s.closing, w: w}, tmp)
}

// copyOut writes a copy of the store into an unlinked file and seeks to its
// beginning. It returns soon if the disk does not answer.
func (s *Store) copyOut(ctx context.Context) (*os.File, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var written atomic.Int64
	type copied struct {
		file *os.File
		err  error
	}
	ended := make(chan copied) // unbuffered: a caller that has given up receives nothing
	go func() {
		file, err := s.copyFile(ctx, &written)
		select {
		case ended <- copied{file, err}:
		case <-ctx.Done():
			if err == nil {
				_ = file.Close()
				_ = os.Remove(file.Name())
			}
		}
	}()
	for before := int64(0); ; {
		select {
		case c := <-ended:
			return c.file, c.err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(stallPatience):
			now := written.Load()
			if now == before {
				return nil, pushsvc.ErrStalled
			}
			before = now
		}
	}
}

func (s *Store) copyFile(ctx context.Context, written *atomic.Int64) (_ *os.File, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(s.path), compacting(s.path)+"*") // the next start removes it
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = read(ctx, s, func(tx *bolt.Tx) (int64, error) {
		return tx.WriteTo(patient{ctx, s.closing, tmp, written})
	})
	if err != nil {
		return nil, err
	}
	// A copy's messages are held, however it replaces a store. Restore sets the
	// mark again.
	if err := markCopied(tmp.Name()); err != nil {
		s.report(err)
	}
	_ = os.Remove(tmp.Name()) // unlinked; on Windows it stays until the end
	_, err = tmp.Seek(0, io.SeekStart)
	return tmp, err
}

// patient is a writer that fails when the context ends or the store closes.
type patient struct {
	ctx     context.Context
	closing <-chan struct{}
	w       io.Writer
	written *atomic.Int64 // nil allowed
}

// Write implements io.Writer.
func (p patient) Write(b []byte) (int, error) {
	select {
	case <-p.closing:
		return 0, pushsvc.ErrClosed
	case <-p.ctx.Done():
		return 0, p.ctx.Err()
	default:
	}
	n, err := p.w.Write(b)
	if p.written != nil {
		p.written.Add(int64(n))
	}
	return n, err
}
