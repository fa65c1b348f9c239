package pushsvc_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// at is a time of the tests of rules, n seconds after a whole second.
func at(n float64) time.Time {
	return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(n * float64(time.Second)))
}

func subscription(id pushsvc.SubscriptionID, endpoint string, auth byte) pushsvc.Subscription {
	return pushsvc.Subscription{ID: id, Endpoint: endpoint, Auth: [pushsvc.AuthSize]byte{auth}, Created: at(0), Seen: at(0)}
}

func with(s pushsvc.Subscription, change func(*pushsvc.Subscription)) pushsvc.Subscription {
	change(&s)
	return s
}

func TestResubscribe(t *testing.T) {
	none := pushsvc.Subscription{}
	device, other := pushsvc.DeviceID{1}, pushsvc.DeviceID{2}
	known := with(subscription(7, "a", 1), func(s *pushsvc.Subscription) {
		s.Device, s.Topics, s.Doubted, s.Created = device, []string{"x"}, at(-5), at(-100)
	})
	proven := with(subscription(3, "old", 9), func(s *pushsvc.Subscription) { s.Created = at(-200) })
	visit := with(subscription(0, "a", 1), func(s *pushsvc.Subscription) { s.Created, s.Seen = at(1.7), at(1.7) })
	rekeyed := with(visit, func(s *pushsvc.Subscription) { s.Auth[0] = 2 })
	for name, c := range map[string]struct {
		sub, known, proven, row, replaced pushsvc.Subscription
		refused                           bool
	}{
		"new": {sub: visit, row: with(visit, func(s *pushsvc.Subscription) { s.Created, s.Seen = at(1), at(1) })},
		"refresh": {sub: visit, known: known, row: with(known, func(s *pushsvc.Subscription) {
			s.Seen, s.Doubted = at(1), time.Time{}
		})},
		"refresh brings its own": {
			sub:   with(visit, func(s *pushsvc.Subscription) { s.Device, s.Topics = other, []string{} }),
			known: known,
			row: with(known, func(s *pushsvc.Subscription) {
				s.Seen, s.Doubted, s.Device, s.Topics = at(1), time.Time{}, other, []string{}
			}),
		},
		"other keys, no proof":          {sub: rekeyed, known: known, row: known, refused: true},
		"other keys, proof of another":  {sub: rekeyed, known: known, proven: proven, row: known, refused: true},
		"refresh, and proves itself":    {sub: visit, known: known, proven: known, row: with(known, func(s *pushsvc.Subscription) { s.Seen, s.Doubted = at(1), time.Time{} })},
		"other keys, and proves itself": {sub: rekeyed, known: known, proven: known, replaced: known, row: with(known, func(s *pushsvc.Subscription) { s.Auth[0], s.Seen, s.Doubted = 2, at(1), time.Time{} })},
		"new in the place of another": {sub: visit, proven: proven, replaced: proven, row: with(visit, func(s *pushsvc.Subscription) {
			s.ID, s.Created, s.Seen = 3, at(-200), at(1)
		})},
		"known in the place of an older one": {sub: visit, known: known, proven: proven, replaced: proven, row: with(known, func(s *pushsvc.Subscription) {
			s.Created, s.Seen, s.Doubted = at(-200), at(1), time.Time{}
		})},
		"a row that can't be read": {sub: visit, known: pushsvc.Subscription{ID: 7}, row: with(visit, func(s *pushsvc.Subscription) {
			s.ID, s.Created, s.Seen = 7, at(1), at(1)
		})},
		"times": {
			sub: with(visit, func(s *pushsvc.Subscription) {
				s.Expiration, s.Seen = at(5.1234567), at(1.7).In(time.FixedZone("x", 3600))
			}),
			row: with(visit, func(s *pushsvc.Subscription) { s.Created, s.Seen, s.Expiration = at(1), at(1), at(5.123) }),
		},
	} {
		row, replaced, ok := pushsvc.Resubscribe(c.sub, c.known, c.proven)
		if d := cmp.Diff([]any{c.row, c.replaced, !c.refused}, []any{row, replaced, ok}); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if (pushsvc.Proof{}).Proves(none) || !(pushsvc.Proof{Endpoint: "a", Auth: known.Auth}).Proves(known) || (pushsvc.Proof{Endpoint: "a"}).Proves(known) {
		t.Error("an empty proof holds, or a right one does not")
	}
}

func TestMergeImported(t *testing.T) {
	known := with(subscription(7, "a", 1), func(s *pushsvc.Subscription) {
		s.Device, s.Topics, s.Doubted, s.Created = pushsvc.DeviceID{1}, []string{"x"}, at(-5), at(-100)
	})
	file := with(subscription(99, "a", 1), func(s *pushsvc.Subscription) { s.Device, s.Doubted = pushsvc.DeviceID{9}, at(-1) })
	for name, c := range map[string]struct {
		file, known, row pushsvc.Subscription
		kept             bool
		n                pushsvc.Imported
	}{
		"new": {
			file: file, n: pushsvc.Imported{Added: 1},
			row: with(file, func(s *pushsvc.Subscription) { s.ID, s.Device = 0, pushsvc.DeviceID{} }),
		},
		"other keys":     {file: with(file, func(s *pushsvc.Subscription) { s.Auth[0] = 2 }), known: known, row: known, kept: true, n: pushsvc.Imported{Conflicting: 1}},
		"seen earlier":   {file: with(file, func(s *pushsvc.Subscription) { s.Seen = at(-1) }), known: known, row: known, kept: true, n: pushsvc.Imported{Known: 1}},
		"seen as before": {file: file, known: known, row: known, n: pushsvc.Imported{Known: 1}},
		"seen later": {
			file: with(file, func(s *pushsvc.Subscription) { s.Seen, s.Doubted, s.Topics = at(9), time.Time{}, []string{"y"} }), known: known, n: pushsvc.Imported{Known: 1},
			row: with(known, func(s *pushsvc.Subscription) { s.Seen, s.Doubted, s.Topics = at(9), time.Time{}, []string{"y"} }),
		},
		"a row that can't be read": {
			file: file, known: pushsvc.Subscription{ID: 7}, n: pushsvc.Imported{Known: 1},
			row: with(file, func(s *pushsvc.Subscription) { s.ID, s.Device = 7, pushsvc.DeviceID{} }),
		},
	} {
		var n pushsvc.Imported
		row, ok := n.Merge(c.file, c.known)
		if d := cmp.Diff([]any{c.row, !c.kept, c.n}, []any{row, ok, n}); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestDoubt(t *testing.T) {
	s := subscription(1, "a", 1)
	if !s.Doubt(at(1.9)) || !s.Doubted.Equal(at(1)) || s.Doubt(at(5)) || !s.Doubted.Equal(at(1)) {
		t.Errorf("doubted since %v", s.Doubted)
	}
}
