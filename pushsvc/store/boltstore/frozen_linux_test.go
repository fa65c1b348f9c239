package boltstore

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// freeze blocks every write to the disk until thaw, or the end of the test.
func (d *disk) freeze() (thaw func()) {
	d.Helper()
	const fiFreeze, fiThaw = 0xc0045877, 0xc0045878 // _IOWR('X', 119, int), _IOWR('X', 120, int)
	dir, err := os.Open(d.dir)
	if err != nil {
		d.Fatal(err)
	}
	ioctl := func(request uintptr) error {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, dir.Fd(), request, 0); errno != 0 {
			return errno
		}
		return nil
	}
	if err := ioctl(fiFreeze); err != nil {
		d.Skipf("the disk can't be frozen here: %v", err)
	}
	thaw = sync.OnceFunc(func() {
		if err := ioctl(fiThaw); err != nil {
			d.Errorf("thawing the disk: %v", err)
		}
		_ = dir.Close()
	})
	d.Cleanup(thaw)
	return thaw
}

// returnsIn checks that fn returns within the limit.
func returnsIn(t *testing.T, what string, limit time.Duration, fn func() error) (err error) {
	t.Helper()
	ended := make(chan error, 1)
	start := time.Now()
	go func() { ended <- fn() }()
	select {
	case err = <-ended:
	case <-time.After(limit):
		t.Errorf("%s has not returned after %v", what, limit)
		return nil
	}
	t.Logf("%s: %v after %v", what, err, time.Since(start).Truncate(10*time.Millisecond))
	return err
}

// TestFrozenDisk: while the disk hangs, reads work, every write returns in time
// and few wait. Afterwards everything acknowledged is stored once, and writes
// work again.
func TestFrozenDisk(t *testing.T) {
	d := newDisk(t)
	s := open(t, filepath.Join(d.dir, "webpush.db"))
	other, err := Open(t.Context(), filepath.Join(d.dir, "other.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	acked := map[string]bool{}
	for n := range 50 {
		if _, err := s.PutSubscription(ctx, realistic(n), nil); err != nil {
			t.Fatal(err)
		}
		acked[realistic(n).Endpoint] = true
	}
	if err := storeMessage(s, "m", 10); err != nil {
		t.Fatal(err)
	}
	goroutines := runtime.NumGoroutine()
	thaw := d.freeze()

	// Visitors' requests, which have a deadline.
	var busy, late, waiting atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for n := range 4000 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			_, err := s.PutSubscription(ctx, realistic(1000+n), nil)
			switch {
			case errors.Is(err, pushsvc.ErrBusy):
				busy.Add(1)
			case errors.Is(err, context.DeadlineExceeded):
				late.Add(1)
			default:
				t.Errorf("on a frozen disk: %v", err)
			}
		})
	}
	wg.Go(func() { time.Sleep(time.Second); waiting.Store(s.health.waiting.Load()) })
	wg.Wait()
	if took := time.Since(start); took > 4*time.Second || waiting.Load() > maxWaiting || late.Load() > maxWaiting || busy.Load() == 0 {
		t.Errorf("4,000 writes ended after %v; %d waited, %d were late, %d refused at once", took, waiting.Load(), late.Load(), busy.Load())
	}

	time.Sleep(stalledAfter + 500*time.Millisecond - min(time.Since(start), stalledAfter))
	if err := s.Health(); !errors.Is(err, pushsvc.ErrStalled) {
		t.Errorf("the store's health: %v", err)
	}
	page, err := s.SubscriptionPage(ctx, realistic(0).Site, 0, 1000)
	if err != nil || len(page) < len(acked) {
		t.Errorf("reading: %d rows, %v", len(page), err)
	}
	// Callers without a deadline get an error too, from every method.
	for what, call := range map[string]func() error{
		"subscribe": func() error { _, err := s.PutSubscription(ctx, realistic(7000), nil); return err },
		"track": func() error {
			_, err := s.Track(ctx, "a.example", people.Batch{Device: pushsvc.DeviceID{1}, At: noteDay, Entries: []people.Entry{{Kind: people.EntryEvent, Name: "E", Time: noteDay}}})
			return err
		},
		"control": func() error { _, err := s.Control(ctx, noteSite, "m", pushsvc.CommandPause, noteDay); return err },
		"setting": func() error {
			_, err := s.PutSetting(ctx, pushsvc.Setting{Site: noteSite, Name: "x", Document: []byte("{}"), Updated: noteDay}, 0)
			return err
		},
		"compact": func() error { _, _, err := s.Compact(ctx); return err },
		"backup":  func() error { _, err := s.Backup(ctx, io.Discard); return err },
	} {
		wg.Go(func() {
			if err := returnsIn(t, what, 2*stallPatience+3*time.Second, call); !errors.Is(err, pushsvc.ErrStalled) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	wg.Go(func() {
		write := func() error { _, err := other.PutSubscription(ctx, realistic(1), nil); return err }
		go func() { _ = write() }()
		time.Sleep(time.Second)
		if err := returnsIn(t, "close", closePatience+3*time.Second, other.Close); !errors.Is(err, errCloseStalled) {
			t.Errorf("close: %v", err)
		}
		if err := returnsIn(t, "a write after close", time.Second, write); !errors.Is(err, pushsvc.ErrClosed) {
			t.Errorf("a write after close: %v", err)
		}
	})
	wg.Wait()

	thaw()
	if err := returnsIn(t, "subscribe after the thaw", 5*time.Second, func() error { _, err := s.PutSubscription(ctx, realistic(9000), nil); return err }); err != nil {
		t.Error(err)
	}
	if err := s.Health(); err != nil {
		t.Errorf("after the thaw: %v", err)
	}
	acked[realistic(9000).Endpoint] = true
	all := map[string]int{}
	page, err = s.SubscriptionPage(ctx, realistic(0).Site, 0, 10_000)
	for _, row := range page {
		all[row.Endpoint]++
	}
	for endpoint := range acked {
		if all[endpoint] != 1 {
			t.Errorf("an acknowledged endpoint is there %d times, %v", all[endpoint], err)
		}
	}
	if len(all) != len(page) {
		t.Errorf("%d rows of %d endpoints", len(page), len(all))
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines+3; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
}
