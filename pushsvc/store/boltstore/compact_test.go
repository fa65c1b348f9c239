package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func init() { jobs["compact"] = subscribeAndCompact }

// TestCompactErases searches the file for deleted data.
func TestCompactErases(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	const n = 2000
	if err := storeMessage(s, "m", n); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ImportKey(t.Context(), pushsvc.Key{ID: "id", Public: "p", Private: "q"}, true); err != nil {
		t.Fatal(err)
	}
	rows, err := s.SubscriptionPage(t.Context(), noteSite, 0, n)
	if err != nil {
		t.Fatal(err)
	}
	var want []pushsvc.Subscription
	var wg sync.WaitGroup
	for i, row := range rows {
		if i%2 == 1 {
			want = append(want, row)
			continue
		}
		wg.Go(func() {
			if err := s.DeleteSubscription(t.Context(), noteSite, row.ID); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	found := func(odd int) int { return endpointsIn(t, path, rows, odd) }
	if found(0) == 0 {
		t.Fatal("nothing of what was deleted is in the file: the test tests nothing")
	}
	before, after, err := s.Compact(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := found(0); n != 0 {
		t.Errorf("%d deleted endpoints are in the file", n)
	}
	if n := found(1); n != len(want) {
		t.Errorf("%d of %d endpoints are in the file", n, len(want))
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() != after || after >= before || info.Mode().Perm() != 0o600 {
		t.Errorf("%d bytes before, %d after, file %v, %v", before, after, info, err)
	}
	asBefore(t, s, path, n, want)
}

// endpointsIn counts the rows of odd or even number whose endpoint is in the
// file.
func endpointsIn(t *testing.T, path string, rows []pushsvc.Subscription, odd int) (found int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, text := range regexp.MustCompile(`\d{11}:APA91b\d{144}`).FindAll(data, -1) {
		there[string(text)] = true
	}
	for i, row := range rows {
		if i%2 == odd && there[row.Endpoint[len(endpointPrefixes[1]):]] {
			found++
		}
	}
	return found
}

// asBefore checks everything in a store of n subscriptions, of which only the
// wanted ones are left, before and after a restart.
func asBefore(t *testing.T, s *Store, path string, n int, want []pushsvc.Subscription) {
	t.Helper()
	for round := range 2 { // the second after a restart
		got, err := s.SubscriptionPage(t.Context(), noteSite, 0, n)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Fatalf("round %d: %v (-want +got):\n%s", round, err, d)
		}
		if row, err := s.PutSubscription(t.Context(), want[7], nil); err != nil || row.ID != want[7].ID {
			t.Errorf("a known endpoint has id %d, %v", row.ID, err)
		}
		if row, err := s.PutSubscription(t.Context(), realistic(n+round), nil); err != nil || row.ID != pushsvc.SubscriptionID(n+round+1) {
			t.Errorf("a new endpoint has id %d, %v", row.ID, err)
		} else {
			want = append(want, row)
		}
		if m, err := s.Message(t.Context(), noteSite, "m"); err != nil || m.Progress.Audience != int64(n) {
			t.Errorf("message %+v, %v", m, err)
		}
		if keys, err := s.Keys(t.Context()); err != nil || len(keys) != 1 {
			t.Errorf("%d keys, %v", len(keys), err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if c, err := CheckFile(t.Context(), path); err != nil || c.Damaged != 0 || c.Subscriptions != len(want) {
			t.Errorf("%+v, %v", c, err)
		}
		s = open(t, path)
	}
}

// TestCompactInUse compacts during writes, reads and backups.
func TestCompactInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	if err := storeMessage(s, "m", 3000); err != nil {
		t.Fatal(err)
	}
	var acked sync.Map
	end := useMeanwhile(t, s, &acked)
	for range 12 {
		if _, _, err := s.Compact(t.Context()); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Compact(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	backups := end()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Compact(t.Context()); !errors.Is(err, pushsvc.ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
	s = open(t, path)
	page, err := s.SubscriptionPage(t.Context(), noteSite, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	n := len(page) - 3000
	for _, row := range page {
		acked.Delete(row.Endpoint)
	}
	acked.Range(func(_, id any) bool { t.Errorf("subscription %v was acknowledged and is gone", id); return true })
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 || n == 0 {
		t.Errorf("%d were stored meanwhile, files left over: %v", n, left)
	}
	t.Logf("%d stored and %d backups made during 12 compactions", n, backups)
}

// useMeanwhile writes, reads and backs up until end is called, which returns the
// number of backups.
func useMeanwhile(t *testing.T, s *Store, acked *sync.Map) (end func() int64) {
	t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var next, backups atomic.Int64
	each := func(fn func() error) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := fn(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 8 {
		each(func() error {
			row, err := s.PutSubscription(t.Context(), realistic(10_000+int(next.Add(1))), nil)
			acked.Store(row.Endpoint, row.ID)
			return err
		})
	}
	each(func() error {
		page, err := s.SubscriptionPage(t.Context(), noteSite, 0, 1<<20)
		if err == nil && len(page) < 3000 {
			err = fmt.Errorf("%d rows", len(page))
		}
		return err
	})
	each(func() error {
		copied := filepath.Join(t.TempDir(), fmt.Sprint(backups.Add(1)))
		file, err := os.Create(copied)
		if err != nil {
			return err
		}
		_, err = s.Backup(t.Context(), file)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		c, err := CheckFile(t.Context(), copied)
		if err == nil && (c.Damaged > 0 || c.Subscriptions < 3000) {
			err = fmt.Errorf("the backup: %+v", c)
		}
		return errors.Join(err, os.Remove(copied))
	})
	return func() int64 {
		close(stop)
		wg.Wait()
		return backups.Load()
	}
}

// TestCompactWaiting: a process that waits for the store gets the new file, not
// the one from when the wait began.
func TestCompactWaiting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	if err := storeMessage(s, "m", 10); err != nil {
		t.Fatal(err)
	}
	opened := make(chan *Store, 4)
	for range cap(opened) {
		go func() {
			next, err := Open(context.Background(), path, Options{Timeout: 20 * time.Second})
			if err != nil {
				t.Error(err)
			} else if page, err := next.SubscriptionPage(context.Background(), noteSite, 0, 100); err != nil || len(page) != 11 {
				t.Errorf("%d rows, %v", len(page), err)
			} else if err := next.Close(); err != nil {
				t.Error(err)
			}
			opened <- next
		}()
	}
	time.Sleep(200 * time.Millisecond)
	if _, _, err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // the old file's lock is free
	if len(opened) > 0 {
		t.Fatal("another opened the store while we have it")
	}
	if _, err := s.PutSubscription(t.Context(), realistic(99), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range cap(opened) {
		<-opened
	}
}

// TestInPlace: inPlace detects a file that has been replaced since it was opened.
func TestInPlace(t *testing.T) {
	path := writeFile(t, []byte("one"))
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := inPlace(path, file); err != nil {
		t.Errorf("in its place: %v", err)
	}
	if err := os.Rename(writeFile(t, []byte("two")), path); err != nil {
		t.Fatal(err)
	}
	if err := inPlace(path, file); !errors.Is(err, errReplaced) {
		t.Errorf("replaced: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := inPlace(path, file); err == nil {
		t.Error("removed: in its place")
	}
}

// subscribeAndCompact does both until it is killed.
func subscribeAndCompact(path, first string) error {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	go func() {
		for {
			if _, _, err := s.Compact(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return subscribe(s, first)
}

// TestCompactKilled kills a process that subscribes and compacts.
func TestCompactKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	acked := map[string]string{}
	for round := 0; round < moments(t, 20) || len(acked) < 50 && round < 500; round++ {
		for _, line := range killed(t, child(t, "compact", path, strconv.Itoa(round*1_000_000)), time.Duration(rand.IntN(150))*time.Millisecond) {
			note(acked, line)
		}
		checkAcked(t, path, acked)
	}
	if len(acked) < 50 {
		t.Errorf("only %d subscriptions were acknowledged: the test tests nothing", len(acked))
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"*"))
	if err != nil || len(left) != 0 {
		t.Errorf("files left over: %v, %v", left, err)
	}
	t.Logf("%d acknowledged, none lost", len(acked))
}

// TestRestore replaces a store with a backup.
func TestRestore(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "data", "webpush.db"), filepath.Join(dir, "backup.db")
	s := open(t, filepath.Join(dir, "first.db"))
	if err := storeMessage(s, "m", 100); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(backup)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Backup(t.Context(), file)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	rows := func(path string, want int) {
		t.Helper()
		s := open(t, path)
		defer s.Close()
		if page, err := s.SubscriptionPage(t.Context(), noteSite, 0, 1000); err != nil || len(page) != want {
			t.Errorf("%d rows, %v; want %d", len(page), err, want)
		}
	}
	restore := func(want string) {
		t.Helper()
		c, err := Restore(t.Context(), backup, path, false)
		switch {
		case want == "" && (err != nil || c.Subscriptions != 100 || c.Messages != 1 || c.Damaged != 0 || c.Format != formatVersion):
			t.Errorf("%+v, %v", c, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "restore a backup")):
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	restore("") // without a former store
	rows(path, 100)
	s = open(t, path)
	if _, err := s.PutSubscription(t.Context(), realistic(500), nil); err != nil {
		t.Fatal(err)
	}
	restore("locked by another process")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	restore("")
	rows(path, 100)
	rows(path+".replaced", 101)
	if err := os.WriteFile(path, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	restore("")
	rows(path, 100)
	restore("")
	rows(path+".replaced", 101) // the first one is never overwritten
	rows(path+".replaced-3", 100)

	data, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string][]byte{
		"is no backup of caddy-webpush, or not a whole one: it is cut short":                           data[:len(data)/2],
		"is no backup of caddy-webpush, or not a whole one: it is not a database":                      []byte("nonsense, and more of it"),
		"is no backup of caddy-webpush, or not a whole one: it is not a database: file size too small": bytes.Repeat([]byte("nonsense\n"), 629),
		"is no backup of caddy-webpush, or not a whole one: it is empty":                               {},
		"no such file": nil,
	} {
		if broken == nil {
			err = os.Remove(backup)
		} else {
			err = os.WriteFile(backup, broken, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		restore(name)
		rows(path, 100)
	}
}

// TestCheckFile finds damage, and changes nothing.
func TestCheckFile(t *testing.T) {
	good, rows := sample(t)
	path := writeFile(t, good)
	c, err := CheckFile(t.Context(), path)
	if len(c.Held) != 5 || c.Held[0].State != pushsvc.StateQueued {
		t.Errorf("to be held: %+v", c.Held)
	}
	c.Held = nil
	if want := (Checked{Format: formatVersion, Sites: 2, Subscriptions: 400, Messages: 5, Keys: 1}); !cmp.Equal(c, want) || err != nil {
		t.Errorf("%+v, %v; want %+v", c, err, want)
	}
	victim := rows[realistic(1).Endpoint].Endpoint
	bad := bytes.Replace(good, []byte(victim[len(victim)-100:]), bytes.Repeat([]byte("x"), 100), 1)
	path = writeFile(t, bad)
	c, err = CheckFile(t.Context(), path)
	if err != nil || c.Subscriptions != 399 || c.Damaged != 1 || !strings.Contains(fmt.Sprint(c.Damage), "checksum") {
		t.Errorf("%+v, %v", c, err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, bad) {
		t.Errorf("the file was changed, %v", err)
	}
	if c, err := CheckFile(t.Context(), format1(t)); err != nil || c.Format != 1 || c.Subscriptions != 78 || c.Messages != 3 || c.Damaged != 0 {
		t.Errorf("format 1: %+v, %v", c, err)
	}
	if _, err := CheckFile(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestRestoreDamaged: a backup with a damaged row changes nothing, unless the
// caller accepts damage.
func TestRestoreDamaged(t *testing.T) {
	good, rows := sample(t)
	victim := rows[realistic(1).Endpoint].Endpoint
	backup := writeFile(t, bytes.Replace(good, []byte(victim[len(victim)-100:]), bytes.Repeat([]byte("x"), 100), 1))
	path := writeFile(t, good)
	c, err := Restore(t.Context(), backup, path, false)
	if !errors.Is(err, ErrDamagedBackup) || c.Damaged != 1 || c.Kept != "" {
		t.Errorf("%+v, %v", c, err)
	}
	if after := readFile(t, path); !bytes.Equal(after, good) {
		t.Error("the store was changed")
	}
	if left, err := filepath.Glob(path + "*"); err != nil || len(left) != 1 {
		t.Errorf("there is %v, %v", left, err)
	}
	if c, err = Restore(t.Context(), backup, path, true); err != nil || c.Subscriptions != 399 || c.Kept == "" {
		t.Errorf("%+v, %v", c, err)
	}
}
