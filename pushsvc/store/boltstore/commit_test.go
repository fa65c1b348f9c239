package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// block keeps the committer busy until release is called.
func block(t *testing.T, s *Store) (release func()) {
	t.Helper()
	running, free := make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = write(context.Background(), s, func(*writeTx) (int, error) {
			close(running)
			<-free
			return 0, nil
		})
	}()
	<-running
	return sync.OnceFunc(func() { close(free) })
}

// TestOneFails puts valid and failing operations into one transaction: each
// caller gets its own result.
func TestOneFails(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "webpush.db"))
	release := block(t, s)
	fault := errors.New("fault")
	spoil := func(w *writeTx) error {
		_, err := w.makeSite("spoiled.example")
		return err
	}
	results := make(chan error, 60)
	for n := range cap(results) {
		go func() {
			var err, want error
			switch n % 6 {
			case 0: // fails after a change
				_, err = write(t.Context(), s, func(w *writeTx) (int, error) { return 0, errors.Join(spoil(w), fault) })
				want = fault
			case 1: // fails before one
				_, err = write(t.Context(), s, func(*writeTx) (int, error) { return 0, fault })
				want = fault
			case 2: // panics after a change
				_, err = write(t.Context(), s, func(w *writeTx) (int, error) { _ = spoil(w); panic("bug") })
				var damage *DamageError
				if errors.As(err, &damage) {
					err = nil
				} else {
					err = fmt.Errorf("the panic gave %w", err)
				}
			default:
				_, err = s.PutSubscription(t.Context(), realistic(n), nil)
			}
			if !errors.Is(err, want) {
				results <- fmt.Errorf("operation %d: %w", n, err)
				return
			}
			results <- nil
		}()
	}
	for len(s.ops) < cap(results) {
		time.Sleep(time.Millisecond)
	}
	release()
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if page, err := s.SubscriptionPage(t.Context(), realistic(0).Site, 0, 100); err != nil || len(page) != 30 {
		t.Errorf("%d of the 30 good ones are stored, %v", len(page), err)
	}
	if _, err := s.Site(t.Context(), "spoiled.example"); !errors.Is(err, pushsvc.ErrNotFound) {
		t.Errorf("a failed operation left changes: %v", err)
	}
}

// TestCancelled cancels the contexts of callers that wait for the committer.
func TestCancelled(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "webpush.db"))
	release := block(t, s)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error)
	const n = queueLength + 50 // more than the queue takes
	for i := range n {
		go func() {
			_, err := s.PutSubscription(ctx, realistic(i), nil)
			results <- err
		}()
	}
	for len(s.ops) < queueLength {
		time.Sleep(time.Millisecond)
	}
	cancel()
	for range n {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Fatalf("a cancelled caller got %v", err)
		}
	}
	release()
	// An operation whose caller has gone is not run.
	if _, err := s.PutSubscription(t.Context(), realistic(n+1), nil); err != nil {
		t.Fatal(err)
	}
	if page, err := s.SubscriptionPage(t.Context(), realistic(0).Site, 0, n); err != nil || len(page) != 1 {
		t.Errorf("%d rows, %v; want 1", len(page), err)
	}
}

// TestCloseFinishes: Close first completes the waiting writes.
func TestCloseFinishes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	release := block(t, s)
	results := make(chan error)
	const n = 100
	for i := range n {
		go func() {
			_, err := s.PutSubscription(t.Context(), realistic(i), nil)
			results <- err
		}()
	}
	for len(s.ops) < n {
		time.Sleep(time.Millisecond)
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	time.Sleep(10 * time.Millisecond)
	release()
	for range n {
		if err := <-results; err != nil {
			t.Errorf("a waiting write: %v", err)
		}
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if page, err := s.SubscriptionPage(t.Context(), realistic(0).Site, 0, 1000); err != nil || len(page) != n {
		t.Errorf("%d of %d rows, %v", len(page), n, err)
	}
}

// TestNothingChanged: a call without changes costs no commit, unless the time
// would reveal that.
func TestNothingChanged(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "webpush.db"))
	row, err := s.PutSubscription(t.Context(), realistic(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	version := func() int {
		id, err := read(t.Context(), s, func(tx *bolt.Tx) (int, error) { return tx.ID(), nil })
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	before := version()
	attack := row
	attack.Auth[0] ^= 1
	if _, _, err := s.Claim(t.Context(), row.Site, "x", "x", time.Minute); !errors.Is(err, pushsvc.ErrNotFound) {
		t.Fatal(err)
	}
	if got := version(); got != before {
		t.Errorf("%d transactions were committed", got-before)
	}
	// A caller that knows an endpoint but not its secret waits as long as for a
	// new one.
	if _, err := s.PutSubscription(t.Context(), attack, nil); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.DeleteProven(t.Context(), row.Site, pushsvc.Proof{Endpoint: row.Endpoint}); ok || err != nil {
		t.Fatal(ok, err)
	}
	if got := version(); got != before+2 {
		t.Errorf("%d transactions were committed for two proofs that are wrong", got-before)
	}
}

// TestBackup backs up during writes, and opens the copy.
func TestBackup(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "webpush.db"))
	fillStore(t, s, 500)
	if _, err := s.ImportKey(t.Context(), pushsvc.Key{ID: "id", Public: "p", Private: "q"}, true); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range 50 {
			if _, err := s.PutSubscription(t.Context(), realistic(1000+n), nil); err != nil {
				t.Error(err)
			}
		}
	})
	var copied bytes.Buffer
	n, err := s.Backup(t.Context(), &copied)
	wg.Wait()
	if err != nil || n != int64(copied.Len()) {
		t.Fatalf("%d bytes of %d, %v", n, copied.Len(), err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, path)
	page, err := c.SubscriptionPage(t.Context(), realistic(0).Site, 0, 1000)
	sum, err2 := c.Site(t.Context(), realistic(0).Site)
	if err := errors.Join(err, err2); err != nil || len(page) < 500 || int64(len(page)) != sum.Subscriptions {
		t.Errorf("the copy has %d rows and counts %d, %v", len(page), sum.Subscriptions, err)
	}
	if keys, err := c.Keys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("the copy has %d keys, %v", len(keys), err)
	}
}

// TestIndexFollows: every removal of a subscription also removes its index entry.
func TestIndexFollows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	rows := map[int]pushsvc.Subscription{}
	put := func(n int, replaces *pushsvc.Proof) {
		t.Helper()
		row, err := s.PutSubscription(t.Context(), realistic(n), replaces)
		if err != nil {
			t.Fatal(err)
		}
		rows[n] = row
	}
	proof := func(n int) pushsvc.Proof {
		return pushsvc.Proof{Endpoint: rows[n].Endpoint, Auth: rows[n].Auth}
	}
	for n := range 6 {
		put(n, nil)
	}
	first := proof(0)
	put(10, &first)
	if err := s.DeleteSubscription(t.Context(), rows[1].Site, rows[1].ID); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.DeleteProven(t.Context(), rows[2].Site, proof(2)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := s.Close(); err != nil { // Close stores the waiting entries
		t.Fatal(err)
	}
	s = open(t, path)
	n, err := read(t.Context(), s, func(tx *bolt.Tx) ([2]uint64, error) {
		st, _ := openSite(tx, rows[0].Site)
		return [2]uint64{st.count(siteSubs), st.count(siteIndex)}, nil
	})
	if err != nil || n != [2]uint64{4, 4} {
		t.Errorf("%d subscriptions and %d index entries, %v; want 4 of each", n[0], n[1], err)
	}
}

// TestGatherUntil: how long a batch waits for more.
func TestGatherUntil(t *testing.T) {
	began := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name                 string
		sinceCommit          time.Duration // when this batch's gathering began
		shared               bool
		expected, operations int
		patient              bool
		want                 time.Duration // after began
	}{
		{"alone", time.Second, false, 1, 1, false, 0},
		{"patient alone", time.Millisecond, false, 1, 1, true, 0},
		{"others may come back", time.Second, true, 5, 4, false, time.Millisecond},
		{"they have", time.Second, true, 5, 5, false, 0},
		{"patient, after a shared commit", 2 * time.Millisecond, true, 5, 5, true, spacing - 2*time.Millisecond},
		{"the same with one that is not patient", 2 * time.Millisecond, true, 5, 5, false, 0},
		{"patient, after a long one", spacing, true, 5, 5, true, 0},
		{"patient, after a long one, others may come back", spacing, true, 5, 4, true, time.Millisecond},
	} {
		s := &Store{expected: tt.expected, patience: time.Millisecond, begun: began.Add(-tt.sinceCommit), shared: tt.shared}
		if got := s.gatherUntil(began, tt.operations, tt.patient); max(got.Sub(began), 0) != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got.Sub(began), tt.want)
		}
	}
}
