package people_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

var (
	eraseAt = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	mail    = people.Identity{Kind: people.IdentityEmail, Value: "a@example.com"}
	other   = people.Identity{Kind: people.IdentityEmail, Value: "b@example.com"}
)

func counts(n map[string]int64) people.Counted {
	return func(event string) (people.EventCount, bool) {
		c, ok := n[event]
		return people.EventCount{Count: c}, ok
	}
}

func TestErase(t *testing.T) {
	p := &people.Profile{
		ID: "p", Devices: []people.Device{{ID: pushsvc.DeviceID{1}}, {ID: pushsvc.DeviceID{2}}},
		Claims: []people.Identity{mail}, History: []people.HistoryRef{{Seq: 7}, {Seq: 9}},
		Events: map[string]people.EventCount{"own": {Count: 3}, "shared": {Count: 1}, "unread": {Count: 1}},
	}
	want := people.Change{
		Drop: []string{"p"}, Devices: map[pushsvc.DeviceID]string{{1}: "", {2}: ""}, Unsubscribe: []pushsvc.DeviceID{{1}, {2}},
		Claims: map[people.Claim]bool{{Identity: mail, Profile: "p"}: false}, DropHistory: []uint64{7, 9}, DropEvents: []string{"own"},
		Counts: people.Counts{Profiles: -1, Anonymous: -1, EventNames: -1},
	}
	if d := cmp.Diff(want, p.Erase(counts(map[string]int64{"own": 3, "shared": 2}))); d != "" {
		t.Errorf("anonymous (-want +got):\n%s", d)
	}
	known := &people.Profile{ID: "k", Identities: []people.Identity{mail}}
	want = people.Change{Drop: []string{"k"}, Identities: map[people.Identity]string{mail: ""}, Counts: people.Counts{Profiles: -1}}
	if d := cmp.Diff(want, known.Erase(counts(nil))); d != "" {
		t.Errorf("known (-want +got):\n%s", d)
	}
}

func TestEraseIdentity(t *testing.T) {
	unclaims := map[people.Claim]bool{{Identity: mail, Profile: "p"}: false}
	proven := &people.Profile{ID: "p", Proven: true, Identities: []people.Identity{other}, Claims: []people.Identity{mail}}
	for name, c := range map[string]struct {
		p      *people.Profile
		erased bool
	}{
		"has it":                      {&people.Profile{ID: "p", Proven: true, Identities: []people.Identity{mail}}, true},
		"claims it, unproven":         {&people.Profile{ID: "p", Identities: []people.Identity{other}, Claims: []people.Identity{mail}}, true},
		"claims it, proven as others": {proven, false},
	} {
		got := people.EraseIdentity(c.p, "p", mail, counts(nil))
		if erased := len(got.Drop) == 1; erased != c.erased || !erased && (len(got.Put) != 1 || len(got.Put[0].Claims) != 0 || cmp.Diff(unclaims, got.Claims) != "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	gone := people.EraseIdentity(nil, "p", mail, counts(nil))
	if d := cmp.Diff(people.Change{Claims: unclaims, Identities: map[people.Identity]string{mail: ""}}, gone); d != "" {
		t.Errorf("a profile that is not there (-want +got):\n%s", d)
	}
	if len(proven.Claims) != 1 {
		t.Error("the caller's profile has changed")
	}
}

func TestPrunable(t *testing.T) {
	subscribed := func(d pushsvc.DeviceID) bool { return d == pushsvc.DeviceID{9} }
	device := func(n byte) []people.Device {
		return []people.Device{{ID: pushsvc.DeviceID{1}}, {ID: pushsvc.DeviceID{n}}}
	}
	for name, c := range map[string]struct {
		p    people.Profile
		want bool
	}{
		"old":             {people.Profile{Seen: eraseAt.Add(-1), Devices: device(2)}, true},
		"seen since":      {people.Profile{Seen: eraseAt, Devices: device(2)}, false},
		"known":           {people.Profile{Seen: eraseAt.Add(-1), Identities: []people.Identity{mail}}, false},
		"a device stayed": {people.Profile{Seen: eraseAt.Add(-1), Devices: device(9)}, false},
	} {
		if got := c.p.Prunable(eraseAt, subscribed); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if people.AllBefore([]people.EventRecord{{Time: eraseAt.Add(-1)}, {Time: eraseAt}}, eraseAt) || !people.AllBefore([]people.EventRecord{{Time: eraseAt.Add(-1)}}, eraseAt) {
		t.Error("a row of history with a young event is old, or an old one is not")
	}
	for hour, want := range map[time.Time]bool{people.FoldedHour: false, eraseAt.Add(-time.Hour): true, eraseAt: false} {
		if people.Foldable(hour, eraseAt.Add(30*time.Minute)) != want {
			t.Errorf("hour %v, foldable: %v", hour, !want)
		}
	}
}

func TestCountsAdd(t *testing.T) {
	got := people.Counts{Profiles: 3, Anonymous: 1}.Add(people.Counts{Profiles: -2, Anonymous: -2, EventNames: 4})
	if want := (people.Counts{Profiles: 1, EventNames: 4}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
