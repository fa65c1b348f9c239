package pushsvc

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestSubscriptionJoin: two rows of one endpoint are merged.
func TestSubscriptionJoin(t *testing.T) {
	day := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	row := func(n int, seen time.Duration, topics []string, device byte) Subscription {
		return Subscription{
			ID: SubscriptionID(n), Site: fmt.Sprint("site ", n), Endpoint: "e", Auth: [AuthSize]byte{byte(n)}, KeyID: fmt.Sprint("key ", n),
			Topics: topics, Device: DeviceID{device}, Created: day.Add(-seen), Seen: day.Add(seen),
		}
	}
	for _, tt := range []struct {
		name         string
		s, o         Subscription
		key          string
		topics       []string
		unset        bool
		device       byte
		created, end time.Duration
	}{
		{"the first is newer", row(1, 2*time.Hour, []string{"a"}, 1), row(2, time.Hour, []string{"b"}, 2), "key 1", []string{"a"}, false, 1, -2 * time.Hour, 2 * time.Hour},
		{"the other is newer", row(1, time.Hour, []string{"a"}, 1), row(2, 2*time.Hour, []string{"b"}, 2), "key 2", []string{"b"}, false, 2, -2 * time.Hour, 2 * time.Hour},
		{"equally old", row(1, time.Hour, nil, 1), row(2, time.Hour, []string{"b"}, 2), "key 1", []string{"b"}, false, 1, -time.Hour, time.Hour},
		{"the newer has never chosen and has no device", row(1, time.Hour, []string{"a"}, 1), row(2, 2*time.Hour, nil, 0), "key 2", []string{"a"}, false, 1, -2 * time.Hour, 2 * time.Hour},
		{"the older has chosen none", row(1, time.Hour, []string{}, 1), row(2, 2*time.Hour, []string{"b"}, 2), "key 2", []string{}, false, 2, -2 * time.Hour, 2 * time.Hour},
		{"neither has a choice", row(1, time.Hour, nil, 1), row(2, 0, nil, 2), "key 1", nil, true, 1, -time.Hour, time.Hour},
	} {
		got := tt.s.Join(tt.o)
		if got.ID != 1 || got.Site != "site 1" || got.KeyID != tt.key || got.Device != (DeviceID{tt.device}) || !slices.Equal(got.Topics, tt.topics) ||
			(got.Topics == nil) != tt.unset || !got.Created.Equal(day.Add(tt.created)) || !got.Seen.Equal(day.Add(tt.end)) || got.KeyID[4] != '0'+got.Auth[0] {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

// TestBeginMove: which names can follow which.
func TestBeginMove(t *testing.T) {
	moves := []SiteMove{{From: "a", Into: "b"}, {From: "c", Into: "d", Running: true}}
	for _, tt := range []struct {
		from, into string
		same       bool
		refused    string // "", "moving" or "name"
	}{
		{"a", "b", true, ""},
		{"c", "d", true, ""},
		{"b", "a", false, ""}, // back
		{"b", "e", false, ""}, // further
		{"e", "b", false, ""},
		{"a", "e", false, "name"},
		{"e", "a", false, "name"},
		{"d", "e", false, "moving"},
		{"e", "d", false, "moving"},
		{"e", "c", false, "moving"},
		{"c", "e", false, "moving"},
	} {
		got, err := BeginMove(moves, tt.from, tt.into)
		var name *SiteNameError
		what := ""
		switch {
		case errors.Is(err, ErrSiteMoving):
			what = "moving"
		case errors.As(err, &name):
			what = "name"
		}
		if what != tt.refused || (got != nil) != tt.same {
			t.Errorf("%s to %s: %v, %v", tt.from, tt.into, got, err)
		}
	}
}
