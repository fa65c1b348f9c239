package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// stuck is a client that reads nothing until it is released.
type stuck struct{ reached, let chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	select {
	case s.reached <- struct{}{}:
	default:
	}
	<-s.let
	return len(p), nil
}

// within fails if f takes too long.
func within(t *testing.T, what string, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("%s hangs", what)
	}
}

// TestBackupStuck: a client that reads a backup slowly, or not at all, blocks
// neither writers (even if the file grows), nor compaction, nor Close, which
// cancels the backup.
func TestBackupStuck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	fillStore(t, s, 500)
	w := stuck{make(chan struct{}, 1), make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		_, err := s.Backup(context.Background(), w)
		ended <- err
	}()
	<-w.reached
	within(t, "a write", func() error {
		_, err := s.PutSubscription(t.Context(), realistic(1000), nil)
		return err
	})
	s.begin.Lock()
	readers := s.db.Stats().OpenTxN
	s.begin.Unlock()
	if readers != 0 {
		t.Errorf("%d transactions are open: a larger memory map would have to wait for them", readers)
	}
	within(t, "Close", s.Close)
	close(w.let)
	within(t, "the backup", func() error {
		if err := <-ended; !errors.Is(err, pushsvc.ErrClosed) {
			t.Errorf("the backup ends with %v", err)
		}
		return nil
	})
	left, err := os.ReadDir(filepath.Dir(path))
	for _, e := range left {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s is left over, %v", e.Name(), err)
		}
	}
}

// TestBackupEnds: the backup ends with its context.
func TestBackupEnds(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "webpush.db"))
	fillStore(t, s, 5000)
	ctx, cancel := context.WithCancel(t.Context())
	w := stuck{make(chan struct{}, 1), make(chan struct{})}
	go func() { <-w.reached; cancel(); close(w.let) }()
	if _, err := s.Backup(ctx, w); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}

// TestBackupDamagedList: a backup of a file whose list of free pages claims to be
// larger than all memory succeeds or is refused; bbolt never loads the list.
func TestBackupDamagedList(t *testing.T) {
	good, _ := sample(t)
	path := writeFile(t, good)
	s, err := Open(t.Context(), path, Options{Timeout: time.Second, OnDamage: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	data := readFile(t, path)
	list := int64(0)
	for id := int64(2); id < int64(len(data))/4096; id++ {
		if at := id * 4096; binary.NativeEndian.Uint16(data[at+8:]) == 0x10 && binary.NativeEndian.Uint64(data[at:]) == uint64(id) {
			list = at
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.WriteAt([]byte{0xff, 0xff}, at+10) // then the count follows the header
			_, err2 := f.WriteAt(binary.NativeEndian.AppendUint64(nil, 1<<34), at+16)
			if err := errors.Join(err, err2, f.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if list == 0 {
		t.Fatal("the file has no list of free pages")
	}
	var m1, m2 runtime.MemStats
	runtime.ReadMemStats(&m1)
	_, err = s.Backup(t.Context(), io.Discard)
	runtime.ReadMemStats(&m2)
	if took := m2.TotalAlloc - m1.TotalAlloc; took > 64<<20 {
		t.Errorf("it took %d MB of memory", took>>20)
	}
	t.Logf("the backup ends with %v", err)
	_ = s.Close()
}
