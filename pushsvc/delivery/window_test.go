package delivery

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// TestWindow compares the window with a plain list of who is settled, over random ranges, crashes
// and removed rows: no unsettled recipient counts as settled, and no settled recipient that is still
// there is handled again.
func TestWindow(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var rows []pushsvc.SubscriptionID
		for id := pushsvc.SubscriptionID(1); id < 400; id++ {
			if rnd.IntN(3) > 0 {
				rows = append(rows, id)
			}
		}
		settled := make(map[pushsvc.SubscriptionID]bool)
		stored := pushsvc.Range{Until: 400}
		for range 5 { // lives of an engine
			w := newWindow(&stored)
			stored.Noted = nil
			var open []pushsvc.SubscriptionID
			for _, id := range rows {
				if id <= stored.Cursor || rnd.IntN(40) == 0 && len(open) > 50 {
					continue
				}
				taken := slices.Contains(open, id)
				if added := w.add(id); taken && !added {
					continue
				} else if added == settled[id] {
					t.Fatalf("seed %d: %d is to be dealt with: %v, and settled: %v", seed, id, added, settled[id])
				} else if added {
					open = append(open, id)
				}
				if rnd.IntN(120) == 0 {
					break
				}
				if early := rows[rnd.IntN(len(rows))]; rnd.IntN(20) == 0 && early > stored.Cursor {
					// Before their turn; some of these are removed before it comes.
					if ahead := early > w.read && !settled[early] && !slices.Contains(open, early); w.take(early) != ahead {
						t.Fatalf("seed %d: %d can be taken: %v", seed, early, !ahead)
					} else if ahead {
						open = append(open, early)
					}
				}
			}
			for _, id := range open {
				if rnd.IntN(3) == 0 {
					settled[id] = true
					if rnd.IntN(10) == 0 { // noted, and the process died
						stored.Noted = append(stored.Noted, pushsvc.Outcome{ID: id, Kind: pushsvc.OutcomeAccepted})
					} else {
						w.markSettled(id)
					}
				}
			}
			stored.Cursor, stored.Settled = w.cursor, w.settled()
			for _, id := range rows {
				_, above := slices.BinarySearch(stored.Settled, id)
				noted := slices.ContainsFunc(stored.Noted, func(o pushsvc.Outcome) bool { return o.ID == id })
				if said := id <= stored.Cursor || above || noted; said != settled[id] {
					t.Fatalf("seed %d: %d is settled: %v, and is said to be: %v", seed, id, settled[id], said)
				}
			}
			if !slices.IsSorted(stored.Settled) {
				t.Fatalf("seed %d: settled %v", seed, stored.Settled)
			}
			rows = slices.DeleteFunc(rows, func(id pushsvc.SubscriptionID) bool {
				return settled[id] && rnd.IntN(30) == 0 // gone
			})
		}
	}
}
