package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func init() { jobs["limited"] = fillLimited }

// TestDiskFull fills a small file system. Mounting one needs root;
// TestFileTooLarge runs everywhere.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("mounting a small tmpfs is not permitted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, filepath.Join(dir, "webpush.db"))
	err := fillUp(s, syscall.ENOSPC, func() error { return os.Remove(ballast) })
	if err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestFileTooLarge limits a child's file size.
func TestFileTooLarge(t *testing.T) {
	out, err := child(t, "limited", filepath.Join(t.TempDir(), "webpush.db"), "-").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func fillLimited(path, _ string) error {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	// Exactly the file's size: the next growth fails, with an errno that bbolt
	// flattens to text.
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	limit := syscall.Rlimit{Cur: uint64(info.Size()), Max: 1 << 30}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	err = fillUp(s, syscall.EFBIG, func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit) })
	return errors.Join(err, s.Close())
}

// fillUp subscribes until the disk is full and checks the errno, that everything
// acknowledged is stored, and that writes work as soon as there is room.
func fillUp(s *Store, want syscall.Errno, makeRoom func() error) error {
	ctx := context.Background()
	var mu sync.Mutex
	acked := map[pushsvc.SubscriptionID]bool{}
	put := func(n int) error {
		row, err := s.PutSubscription(ctx, realistic(n), nil)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			acked[row.ID] = true
		}
		return err
	}
	var next atomic.Int64
	errs := make(chan error, 16)
	for range cap(errs) {
		go func() {
			var err error
			for err == nil && next.Load() < 20_000 {
				err = put(int(next.Add(1)))
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, want) {
			return fmt.Errorf("after %d subscriptions: error %w, want %w", next.Load(), err, want)
		}
	}
	n := int(next.Load())
	before := len(acked)
	for range 20 { // it stays full, and stays readable
		n++
		if err := put(n); err == nil {
			before = len(acked) // a commit that fitted into free pages
		} else if !errors.Is(err, want) {
			return fmt.Errorf("while full: %w", err)
		}
		if page, err := s.SubscriptionPage(ctx, realistic(0).Site, 0, 100_000); err != nil || len(page) < before {
			return fmt.Errorf("while full: %d of %d rows, %w", len(page), before, err)
		}
	}
	if err := makeRoom(); err != nil {
		return err
	}
	for range 50 {
		n++
		if err := put(n); err != nil {
			return fmt.Errorf("after room was made: %w", err)
		}
	}
	page, err := s.SubscriptionPage(ctx, realistic(0).Site, 0, 100_000)
	if err != nil {
		return err
	}
	for _, row := range page {
		delete(acked, row.ID)
	}
	if len(acked) > 0 {
		return fmt.Errorf("%d acknowledged subscriptions are gone", len(acked))
	}
	return nil
}

// TestNotesNoRoom: notes fail with the errno, everything else works.
func TestNotesNoRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	dir := path + ".notes"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mounting a small tmpfs is not permitted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := open(t, path)
	if err := storeMessage(s, "m", 10); err != nil {
		t.Fatal(err)
	}
	r := claimAt(t, s, "m", noteDay)
	noted := 0
	var err error
	for err == nil && noted < 100_000 {
		if err = s.Note(t.Context(), r, accepted(noted+1, noted+100)); err == nil {
			noted += 100
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("after %d notes: %v", noted, err)
	}
	c := pushsvc.Checkpoint{Site: noteSite, MessageID: "m", Epoch: 1, Cursor: 50, Lease: time.Hour, At: noteDay}
	if _, _, err := s.Checkpoint(t.Context(), c); err != nil {
		t.Errorf("a checkpoint while there is no room for notes: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	r = claimAt(t, s, "m", noteDay.Add(2*time.Hour))
	if !cmp.Equal(r.Noted, accepted(51, noted)) {
		t.Errorf("%d are noted, want 51 to %d", len(r.Noted), noted)
	}
	c = pushsvc.Checkpoint{Site: noteSite, MessageID: "m", Epoch: 2, Cursor: 1 << 20, Lease: time.Hour, At: noteDay}
	if _, _, err := s.Checkpoint(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := s.Note(t.Context(), r, accepted(1<<20+1, 1<<20+5)); err != nil {
		t.Errorf("after a checkpoint made room: %v", err)
	}
}
