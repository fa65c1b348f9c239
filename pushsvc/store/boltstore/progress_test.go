package boltstore

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// TestCheckpointPages: the number of pages that a checkpoint writes depends
// neither on the size of the audience nor on the message's content.
func TestCheckpointPages(t *testing.T) {
	pages := map[int]int64{}
	for _, audience := range []int{10_000, 160_000} {
		s := open(t, filepath.Join(t.TempDir(), "webpush.db"))
		for first := 0; first < audience; first += 10_000 {
			subs := make([]pushsvc.Subscription, 10_000)
			for i := range subs {
				subs[i] = realistic(first + i)
			}
			if _, err := s.ImportSubscriptions(t.Context(), noteSite, subs); err != nil {
				t.Fatal(err)
			}
		}
		m := pushsvc.Message{ID: "m", Site: noteSite, Created: noteDay}
		m.Content.Data = []byte(`"` + string(make([]byte, 3000)) + `"`)
		if _, _, err := s.CreateMessage(t.Context(), m, pushsvc.Idempotency{}); err != nil {
			t.Fatal(err)
		}
		var most atomic.Int64
		s.begin.Lock()
		s.onCommit = func(stats bolt.TxStats) { most.Store(max(most.Load(), stats.GetWrite())) }
		s.begin.Unlock()
		for n := range 8 {
			r := claimAt(t, s, "m", noteDay)
			most.Store(0)
			for i := range pushsvc.SubscriptionID(4) {
				c := pushsvc.Checkpoint{
					Site: noteSite, MessageID: "m", Range: r.N, Epoch: r.Epoch, Cursor: r.Cursor + i*500,
					Lease: time.Hour, At: noteDay.Add(time.Duration(n)*time.Second + time.Duration(i)),
				}
				for id := range pushsvc.SubscriptionID(500) {
					o := pushsvc.Outcome{ID: c.Cursor + id + 1, Kind: pushsvc.OutcomeAccepted}
					if id%100 == 0 {
						o.Kind, o.Reason, o.Due = pushsvc.OutcomeLater, "busy", noteDay.Add(time.Hour)
					}
					c.Outcomes = append(c.Outcomes, o)
				}
				for id := range pushsvc.SubscriptionID(100) {
					c.Settled = append(c.Settled, c.Cursor+2*id+1)
				}
				if _, _, err := s.Checkpoint(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			pages[audience] = max(pages[audience], most.Load())
			if n == 3 && audience == 10_000 {
				break // these were all ranges
			}
		}
	}
	t.Logf("pages written per checkpoint, at most, by audience: %v", pages)
	if small, large := pages[10_000], pages[160_000]; small == 0 || large > 25 || large > small+4 {
		t.Errorf("pages written per checkpoint, by audience: %v", pages)
	}
}
