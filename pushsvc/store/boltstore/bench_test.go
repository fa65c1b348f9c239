package boltstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// realistic makes a subscription like Chrome's: an endpoint of 198 characters, a
// key id, a language, a zone and a page.
func realistic(n int) pushsvc.Subscription {
	s := pushsvc.Subscription{
		Site:     "shop.example.com",
		Endpoint: fmt.Sprintf("https://fcm.googleapis.com/fcm/send/%011d:APA91b%0144d", n, n),
		KeyID:    "AbCdEfGhIjk",
		Language: "de-DE",
		TimeZone: "Europe/Berlin",
		Page:     "/articles/2026/11/some-article",
		Created:  time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second),
	}
	s.Seen = s.Created
	_, _ = rand.Read(s.P256DH[:])
	_, _ = rand.Read(s.Auth[:])
	return s
}

// callers runs fn for the numbers from first to first+n-1 on 64 goroutines and
// returns how long it took.
func callers(b *testing.B, first, n int, fn func(n int) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range 64 {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := fn(first + i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// BenchmarkPut64 measures durable subscribing by 64 callers, alternately in our
// store and in plain bbolt (db.Batch, random keys, JSON), because a disk's speed
// changes from minute to minute. Both hold 100,000 at the start.
func BenchmarkPut64(b *testing.B) {
	const rows, slice = 100_000, 1000
	s := open(b, filepath.Join(b.TempDir(), "webpush.db"))
	fillStore(b, s, rows)
	plain := openPlain(b, rows)
	var ours, theirs time.Duration
	n := rows
	for b.Loop() {
		ours += callers(b, n, slice, func(n int) error {
			_, err := s.PutSubscription(context.Background(), realistic(n), nil)
			return err
		})
		theirs += callers(b, n, slice, func(n int) error {
			return plain.Batch(func(tx *bolt.Tx) error { return putPlain(tx, n) })
		})
		n += slice
	}
	done := float64(n - rows)
	b.ReportMetric(done/ours.Seconds(), "store-subs/s")
	b.ReportMetric(done/theirs.Seconds(), "batch-subs/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio")
}

func openPlain(b *testing.B, rows int) *bolt.DB {
	b.Helper()
	db, err := bolt.Open(filepath.Join(b.TempDir(), "plain.db"), 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	for first := 0; first < rows; first += 10_000 {
		err := db.Update(func(tx *bolt.Tx) error {
			for n := range 10_000 {
				if err := putPlain(tx, first+n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return db
}

func putPlain(tx *bolt.Tx, n int) error {
	key := make([]byte, 16)
	_, _ = rand.Read(key)
	value, err := json.Marshal(realistic(n))
	if err != nil {
		return err
	}
	bucket, err := tx.CreateBucketIfNotExists([]byte("subscriptions"))
	if err != nil {
		return err
	}
	return bucket.Put(key, value)
}

// BenchmarkSize fills a store in bulk and reports the bytes per subscription on
// the disk, and the time to read all in pages of 1,000.
func BenchmarkSize(b *testing.B) {
	const rows = 200_000
	path := filepath.Join(b.TempDir(), "webpush.db")
	s := open(b, path)
	fillStore(b, s, rows)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		total := scan(b, s)
		if total != rows {
			b.Fatalf("read %d of %d", total, rows)
		}
	}
	b.ReportMetric(float64(info.Size())/rows, "B/sub")
	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkMillion imports a million subscriptions, 10,000 at a time, reads them
// in pages of 1,000, decoded and checked, and compacts the store. It reports the
// process's own memory (without the mapped file's pages, which belong to the
// system) before and after the reading.
func BenchmarkMillion(b *testing.B) {
	const rows, chunk = 1_000_000, 10_000
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "webpush.db")
		s := open(b, path)
		var took time.Duration
		subs := make([]pushsvc.Subscription, chunk)
		for first := 0; first < rows; first += chunk {
			for i := range subs {
				subs[i] = realistic(first + i)
			}
			start := time.Now()
			n, err := s.ImportSubscriptions(b.Context(), "shop.example.com", subs)
			if took += time.Since(start); err != nil || n.Added != chunk {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(rows/took.Seconds(), "imported/s")
		subs = nil
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/rows, "B/sub")
		b.ReportMetric(anonymous(b), "MB-before")
		start := time.Now()
		if n := scan(b, s); n != rows {
			b.Fatalf("read %d of %d", n, rows)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s-scan")
		b.ReportMetric(anonymous(b), "MB-after")
		start = time.Now()
		_, after, err := s.Compact(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s-compact")
		b.ReportMetric(float64(after)/rows, "B/sub-compact")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// scan reads all rows in pages of 1,000.
func scan(b *testing.B, s *Store) (total int) {
	var after pushsvc.SubscriptionID
	for {
		page, err := s.SubscriptionPage(context.Background(), "shop.example.com", after, 1000)
		if err != nil {
			b.Fatal(err)
		}
		if len(page) == 0 {
			return total
		}
		total += len(page)
		after = page[len(page)-1].ID
	}
}

// anonymous returns the process's memory that maps no file, in MB; zero if the
// system doesn't report it.
func anonymous(b *testing.B) float64 {
	b.Helper()
	debug.FreeOSMemory()
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		var kB float64
		if n, _ := fmt.Sscanf(line, "RssAnon: %f kB", &kB); n == 1 {
			return kB / 1024
		}
	}
	return 0
}

// fillStore stores n subscriptions with many callers.
func fillStore(tb testing.TB, s *Store, n int) {
	tb.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 512 {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if _, err := s.PutSubscription(context.Background(), realistic(i), nil); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
