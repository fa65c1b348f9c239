package delivery_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// onStores runs a test of engines that share a store on each kind of store that can be shared.
func onStores(t *testing.T, test func(*fixture)) {
	t.Run("memstore", func(t *testing.T) { test(newFixture(t)) })
	t.Run("boltstore", func(t *testing.T) {
		s, err := boltstore.Open(t.Context(), filepath.Join(t.TempDir(), "webpush.db"), boltstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		test(newFixtureOn(t, s))
	})
}

// importTo makes subscriptions whose pushes are never decrypted, fast.
func (f *fixture) importTo(host, kind string, n int) {
	f.Helper()
	like := f.subscribeAt(siteA, kind, f.key.ID, host)
	subs := make([]pushsvc.Subscription, n-1)
	for i := range subs {
		subs[i] = like.Subscription
		subs[i].Endpoint = fmt.Sprint(like.Endpoint, "-", i)
	}
	// In pieces: a store ends a write that takes longer than its limit.
	for piece := range slices.Chunk(subs, 1000) {
		if got, err := f.store.ImportSubscriptions(f.Context(), siteA, piece); err != nil || got.Added != len(piece) {
			f.Fatalf("imported %+v, %v", got, err)
		}
	}
}

// counted is a sender that counts.
type counted struct {
	delivery.Sender
	n atomic.Int64
}

func (c *counted) Send(ctx context.Context, req *webpush.Request) webpush.Result {
	c.n.Add(1)
	return c.Sender.Send(ctx, req)
}

// two starts two engines that have one range of each message, and waits until both send. No push is
// answered before.
func (f *fixture) two() (engines [2]*delivery.Engine, senders [2]*counted) {
	f.Helper()
	gate := make(chan struct{})
	f.push.onPush(func(string) { <-gate })
	for i := range engines {
		senders[i] = &counted{Sender: f.push.client}
		engines[i] = f.engine(func(c *delivery.Config) { c.Sender, c.Ranges = senders[i], 1 })
	}
	defer close(gate)
	f.eventually("both send", func() bool { return senders[0].n.Load() > 0 && senders[1].n.Load() > 0 })
	return engines, senders
}

// TestRateTogether: the rate is the message's, however many engines send it; and when one of them
// ends, the other sends at the whole rate. It runs alone, because it measures.
func TestRateTogether(t *testing.T) {
	onStores(t, func(f *fixture) {
		const rate, audience = 500, 30_000
		f.importTo(fcm, "ok", audience)
		m := f.create(pushsvc.Message{Site: siteA, Rate: rate})
		engines, senders := f.two()
		f.sendsAt(rate, 10, "two engines")
		for i := range senders {
			if n := senders[i].n.Load(); n < 200 {
				f.Errorf("engine %d has sent %d", i, n)
			}
		}
		f.stop(engines[0])
		f.sendsAt(rate, 10, "the one that is left")
		f.control(m, pushsvc.CommandCancel)
	})
}

// TestMassTogether: a push service that reports all subscriptions as gone is not believed, even if
// each engine gets fewer such answers than a mass.
func TestMassTogether(t *testing.T) {
	t.Parallel()
	onStores(t, func(f *fixture) {
		const each, mass = 15, 20
		for range 2 {
			f.importTo(fcm, "ok", 1500)
			f.importTo(mozilla, "gone410", each)
			f.importTo(fcm, "ok", 1500)
		}
		m := f.message(siteA, time.Now(), pushsvc.Content{})
		f.two()
		p := f.done(m).Progress
		quarantined := p.Failed[pushsvc.ReasonQuarantined]
		f.Logf("removed %d, quarantined %d", p.Gone, quarantined)
		if p.Gone >= mass || p.Gone+quarantined != 2*each || p.Accepted != 6000 {
			f.Errorf("%+v", p)
		}
	})
}
