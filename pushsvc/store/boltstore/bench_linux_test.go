package boltstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// cpuTime returns the processor time that this process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkTrack stores batches of events from 16 callers that share the commits,
// for 2,000 returning visitors with a full history.
func BenchmarkTrack(b *testing.B) {
	for _, size := range []int{1, 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "webpush.db"))
			var n atomic.Int64
			track := func(posts int) {
				var left atomic.Int64
				left.Store(int64(posts))
				var wg sync.WaitGroup
				for range 16 {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							if _, err := s.Track(context.Background(), "shop.example.com", aBatch(n.Add(1), 2000, size)); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			}
			track(2000 * 24)
			commits := 0
			s.onCommit = func(bolt.TxStats) { commits++ }
			b.ReportAllocs()
			before := cpuTime(b)
			b.ResetTimer()
			track(b.N)
			b.StopTimer()
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(b.N)/float64(max(commits, 1)), "ops/commit")
		})
	}
}

// aBatch returns the n-th batch of one of so many visitors.
func aBatch(n int64, visitors, size int) people.Batch {
	var device pushsvc.DeviceID
	binary.BigEndian.PutUint64(device[:], uint64(n*2654435761)%uint64(visitors)+1)
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Millisecond)
	batch := people.Batch{Device: device, ID: fmt.Sprintf("AAAAAAAAAAA%010dA", n), Session: "AAAAAAAAAAAAAAAAAAAAAA", At: at}
	for i := range size {
		batch.Entries = append(batch.Entries, people.Entry{
			Kind: people.EntryEvent, Time: at, Name: []string{"Product viewed", "Added", "Charged"}[i%3],
			Props: map[string]any{"sku": fmt.Sprintf("A-%d", n%10_000), "category": "Books", "price": 19.9, "quantity": float64(i%3 + 1)},
		})
	}
	return batch
}

// BenchmarkTrackPaced stores 500 batches of ten events per second at fixed times,
// whether or not the last one is stored. It reports the number of commits and
// their cost.
func BenchmarkTrackPaced(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "webpush.db"))
	commits := 0
	s.onCommit = func(bolt.TxStats) { commits++ }
	var wg sync.WaitGroup
	begun, before := time.Now(), cpuTime(b)
	next := begun
	for n := range b.N {
		next = next.Add(time.Duration(rand.ExpFloat64() * float64(2*time.Millisecond)))
		time.Sleep(time.Until(next))
		wg.Go(func() {
			if _, err := s.Track(context.Background(), "shop.example.com", aBatch(int64(n), 2000, 10)); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(commits)/time.Since(begun).Seconds(), "commits/s")
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(0, "ns/op")
}
