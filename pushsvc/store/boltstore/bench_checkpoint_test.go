package boltstore

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// BenchmarkCheckpoint writes checkpoints of 500 outcomes, one in a hundred to be tried
// again, of a message with 40 ranges. Set TMPDIR to a memory file system to leave the
// disk aside.
func BenchmarkCheckpoint(b *testing.B) {
	const size = 500
	s := open(b, filepath.Join(b.TempDir(), "webpush.db"))
	if err := storeMessage(s, "m", 100_000); err != nil {
		b.Fatal(err)
	}
	_, r, err := s.Claim(b.Context(), noteSite, "m", "engine", time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	c := pushsvc.Checkpoint{
		Site: noteSite, MessageID: "m", Range: r.N, Epoch: r.Epoch, Lease: time.Hour, At: noteDay,
		Answers: map[string]pushsvc.Answers{"fcm.googleapis.com": {Answers: 400}, "updates.push.services.mozilla.com": {Answers: 100, Gone: 1}},
	}
	for b.Loop() {
		c.At, c.Outcomes = c.At.Add(time.Second), c.Outcomes[:0]
		for i := range pushsvc.SubscriptionID(size) {
			o := pushsvc.Outcome{ID: c.Cursor + i + 1, Kind: pushsvc.OutcomeAccepted}
			if i%100 == 0 {
				o.Kind, o.Reason, o.Due = pushsvc.OutcomeLater, "busy", noteDay.Add(time.Hour)
			}
			c.Outcomes = append(c.Outcomes, o)
		}
		c.Cursor += size
		if _, _, err := s.Checkpoint(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}
