//go:build unix

package delivery_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// BenchmarkEngine sends one message to b.N subscribers of a boltstore, with a sender that does
// nothing: its cost is what the engine and the store add to each push.
func BenchmarkEngine(b *testing.B) {
	for _, took := range []time.Duration{0, 20 * time.Millisecond} {
		b.Run(fmt.Sprintf("answers=%v", took), func(b *testing.B) {
			store, err := boltstore.Open(b.Context(), filepath.Join(b.TempDir(), "webpush.db"), boltstore.Options{})
			if err != nil {
				b.Fatal(err)
			}
			f := newFixtureOn(b, store)
			template := f.subscribeAt(siteA, "ok", f.key.ID, fcm).Subscription
			for left := b.N - 1; left > 0; {
				subs := make([]pushsvc.Subscription, min(left, 10_000))
				for i := range subs {
					subs[i] = template
					subs[i].Endpoint = fmt.Sprintf("https://%s/push/v2/%0140d", fcm, left-i)
				}
				if _, err := f.store.ImportSubscriptions(b.Context(), siteA, subs); err != nil {
					b.Fatal(err)
				}
				left -= len(subs)
			}
			sender := scripted(func(*webpush.Request) webpush.Result {
				if took > 0 {
					time.Sleep(took)
				}
				return accepted()
			})
			before := cpuTime(b)
			b.ResetTimer()
			m := f.message(siteA, time.Now(), pushsvc.Content{})
			f.engine(func(c *delivery.Config) {
				c.Store, c.Sender, c.Concurrency = store, sender, 0
				c.CheckpointEvery, c.Lease = 0, 0
			})
			var row pushsvc.Message
			for row.State != pushsvc.StateDone {
				time.Sleep(5 * time.Millisecond)
				row = f.state(m)
			}
			b.StopTimer()
			per := (cpuTime(b) - before).Seconds() / float64(b.N)
			b.ReportMetric(per*1e6, "CPU-µs/push")
			b.ReportMetric(1/per, "push/s/core")
			if row.Progress.Accepted != int64(b.N) {
				b.Errorf("%+v", row.Progress)
			}
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
