package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

var proofTests = []test{
	{"people/unproven logins evict no profile", testProofEviction},
	{"people/unproven logins see their own", testProofOwn},
	{"people/proven profiles are closed to unproven logins", testProofClosed},
	{"people/who proves an identity gets it", testProofTakes},
	{"people/an identity is erased with who claims it", testProofErase},
	{"people/a device is replaced", testDeviceReplaced},
}

func prop(key string, value any) people.Entry {
	return people.Entry{Kind: people.EntryProfile, Time: epoch, Set: map[string]any{key: value}}
}

func identity(value string) people.Identity {
	return people.Identity{Kind: people.IdentityID, Value: value}
}

// proven stores the n-th device's entries in a batch whose logins are proven.
func (h *harness) proven(n int, entries ...people.Entry) {
	h.Helper()
	h.trackBatch(siteA, people.Batch{Device: device(n), At: epoch, Entries: entries, Trusted: true})
}

func (h *harness) profileBy(value string) people.Profile {
	h.Helper()
	p, err := h.PersonBy(h.Context(), siteA, identity(value))
	if err != nil {
		h.Fatalf("PersonBy %s: %v", value, err)
	}
	return p
}

// seen is the profile as the n-th device may see it.
func (h *harness) seen(n int) *people.Profile {
	h.Helper()
	p := h.profile(n)
	return p.SeenBy(device(n))
}

func testProofEviction(h *harness) {
	h.track(1, login("ann"), prop("Phone", "+49"))
	many := login("ann")
	for n := range 11 {
		many.Identities = append(many.Identities, identity(fmt.Sprint("junk ", n)))
	}
	h.track(2, many)
	ann := h.profileBy("ann")
	if ann.Attributes["Phone"] != "+49" || len(ann.Identities) != people.MaxIdentities || len(ann.Claims) != 2 {
		h.Errorf("after many identities: %+v", ann)
	}
	for n := range 40 {
		h.track(100+n, login("ann"))
	}
	if h.profile(1).ID != ann.ID {
		h.Error("the first device is pushed out by others")
	}
	// A device that has been away longer than its cookie lives is evicted.
	h.trackBatch(siteA, people.Batch{Device: device(500), At: epoch.AddDate(2, 0, 0), Entries: []people.Entry{login("ann")}})
	if h.profile(500).ID != ann.ID || len(h.profileBy("ann").Devices) != people.MaxDevices {
		h.Error("a dead device makes no room")
	}
}

func testProofOwn(h *harness) {
	h.track(1, prop("City", "Rome"), event("E", epoch), login("ann"), prop("Phone", "+49"))
	if s := h.seen(1); s.Attributes["Phone"] != "+49" || s.Attributes["City"] != "Rome" || s.Events["E"].Count != 1 {
		h.Errorf("a single device does not see its own data: %+v", s)
	}
	h.track(2, prop("Size", "L"), login("ann"), event("F", epoch), people.Entry{Kind: people.EntryVisit, Time: epoch})
	if s := h.seen(2); len(s.Attributes) != 1 || s.Attributes["Size"] != "L" || len(s.Events) != 1 || s.Events["F"].Count != 1 || s.Visits != 1 {
		h.Errorf("the second device sees %+v", s)
	}
	h.track(1, event("E", epoch), prop("Phone", nil), prop("Plan", "pro"))
	if s := h.seen(1); len(s.Attributes) != 2 || s.Attributes["City"] != "Rome" || s.Attributes["Plan"] != "pro" || s.Events["E"].Count != 2 || s.Events["F"].Count != 0 {
		h.Errorf("the first device sees %+v", s)
	}
	// The person's profile has the data of all devices.
	if p := h.profileBy("ann"); p.Attributes["Size"] != "L" || p.Attributes["Plan"] != "pro" || p.Events["F"].Count != 1 || p.Events["E"].Count != 2 {
		h.Errorf("the person: %+v", p)
	}
	// An address that was claimed before reveals nothing about a later claimant.
	h.track(3, login("victim"))
	h.track(4, login("victim"), prop("Phone", "+33"))
	if s := h.seen(3); len(s.Attributes) != 0 {
		h.Errorf("who came first sees %+v", s.Attributes)
	}
	h.track(4, people.Entry{Kind: people.EntryLogout, Time: epoch})
	h.track(5, login("victim"))
	if s := h.seen(5); len(s.Attributes) != 0 {
		h.Errorf("who comes after a logout sees %+v", s.Attributes)
	}
}

func testProofClosed(h *harness) {
	h.proven(1, login("ann"), prop("Phone", "+49"), event("E", epoch))
	ann := h.profileBy("ann")
	h.track(2, login("ann"), prop("Phone", "+1"), event("E", epoch))
	p := h.profile(2)
	if p.ID == ann.ID || p.Known() || !slices.Equal(p.Claims, []people.Identity{identity("ann")}) || p.Attributes["Phone"] != "+1" {
		h.Errorf("an unproven login: %+v", p)
	}
	if now := h.profileBy("ann"); now.Attributes["Phone"] != "+49" || now.Events["E"].Count != 1 || len(now.Devices) != 1 {
		h.Errorf("it changes the proven profile: %+v", now)
	}
	// The proven device's own page may log in again, and its additions are
	// claims.
	more := login("ann")
	more.Identities = append(more.Identities, identity("bob"))
	h.track(1, more)
	if now := h.profile(1); now.ID != ann.ID || len(now.Identities) != 1 || !slices.Equal(now.Claims, []people.Identity{identity("bob")}) {
		h.Errorf("the device's own login: %+v", now)
	}
	h.proven(3, login("bob"))
	if p := h.profile(3); p.ID == ann.ID || !p.Proven {
		h.Errorf("who proves what another claims: %+v", p)
	}
	// A visitor who claims one identity and then another merges no profiles.
	h.track(2, login("carl"))
	if carl := h.profileBy("carl"); carl.ID == p.ID || carl.Attributes["Phone"] != nil {
		h.Errorf("after another login: %+v", carl)
	}
	if n := h.people(siteA); n.Profiles != 4 || n.Anonymous != 1 || n.RefusedLogins != 1 {
		h.Errorf("numbers: %+v", n)
	}
}

func testProofTakes(h *harness) {
	both := login("mallory")
	both.Identities = append(both.Identities, identity("ann"))
	h.track(1, both, prop("Name", "M"))
	h.track(2, login("ann"))
	h.proven(3, login("ann"), prop("Phone", "+49"))
	ann := h.profileBy("ann")
	if !ann.Proven || ann.ID != h.profile(3).ID || len(ann.Devices) != 1 || !slices.Equal(ann.Identities, []people.Identity{identity("ann")}) || !slices.Equal(ann.Claims, []people.Identity{identity("mallory")}) {
		h.Errorf("after the proof: %+v", ann)
	}
	for n, own := range map[int]any{1: "M", 2: nil} {
		p := h.profile(n)
		if p.ID == ann.ID || p.Known() || len(p.Claims) != 2 || p.Attributes["Name"] != own || p.Attributes["Phone"] != nil {
			h.Errorf("device %d, which has proven nothing: %+v", n, p)
		}
	}
	// It returns by its own proof.
	h.proven(2, login("ann"))
	if h.profile(2).ID != ann.ID || len(h.profileBy("ann").Devices) != 2 {
		h.Error("a second device that proves to be hers is not hers")
	}
	h.same("numbers", h.people(siteA), people.Counts{Profiles: 2, Anonymous: 1})
	// An identity moves away from a profile that has others too.
	h.track(5, login("eve"), login("eve"))
	mixed := login("eve")
	mixed.Identities = append(mixed.Identities, identity("dan"))
	h.track(5, mixed)
	h.proven(6, login("frank"))
	two := login("frank")
	two.Identities = append(two.Identities, identity("dan"))
	h.proven(6, two)
	if dan := h.profileBy("dan"); dan.ID != h.profile(6).ID || !slices.Equal(h.profile(5).Claims, []people.Identity{identity("dan")}) || len(h.profile(5).Identities) != 1 {
		h.Errorf("dan is %+v, eve %+v", dan, h.profile(5))
	}
}

func testProofErase(h *harness) {
	h.proven(1, login("ann"), prop("Phone", "+49"))
	s := sub(siteA, 1)
	s.Device = device(2)
	h.putSub(s, nil)
	for n := range 5 {
		h.track(2+n, login("ann"), prop("Phone", "+49"))
	}
	h.proven(20, login("bob"))
	claiming := login("bob")
	claiming.Identities = append(claiming.Identities, identity("ann"))
	h.track(20, claiming)
	erase := func(value string, limit int) int {
		n, err := h.EraseIdentity(h.Context(), siteA, identity(value), limit)
		if err != nil {
			h.Fatal(err)
		}
		return n
	}
	h.same("rounds", []int{erase("ann", 2), erase("ann", 2), erase("ann", 2), erase("ann", 2)}, []int{3, 2, 2, 0})
	_, err := h.PersonBy(h.Context(), siteA, identity("ann"))
	h.is("by the identity", err, pushsvc.ErrNotFound)
	for n := range 6 {
		if f := h.facts(1 + n); f.Profile != nil || f.Subscribed {
			h.Errorf("device %d is still there: %+v", 1+n, f)
		}
	}
	if bob := h.profile(20); !bob.Proven || len(bob.Claims) != 0 {
		h.Errorf("the device with another proven identity: %+v", bob)
	}
	h.same("numbers", h.people(siteA), people.Counts{Profiles: 1, RefusedLogins: 5})
	h.same("unknown", erase("unknown", 10), 0)
	// Erasing one by its id also erases its claims.
	h.track(30, login("bob"), prop("Phone", "+33"))
	if err := h.ErasePerson(h.Context(), siteA, h.profile(30).ID); err != nil {
		h.Fatal(err)
	}
	h.same("bob alone", erase("bob", 10), 1)
}

func testDeviceReplaced(h *harness) {
	s := sub(siteA, 1)
	s.Device = device(1)
	h.putSub(s, nil)
	h.track(1, event("E", epoch))
	move := func(n, from, to int, entries ...people.Entry) people.Tracked {
		return h.trackBatch(siteA, people.Batch{Device: device(from), Next: device(to), ID: batchID(n), At: epoch.Add(time.Minute), Entries: entries})
	}
	for range 2 { // the second call finds it done
		if t := move(1, 1, 2, event("E", epoch), login("ann")); !t.Replaced {
			h.Error("a login replaces nothing")
		}
	}
	if h.facts(1).Profile != nil || h.facts(1).Subscribed || !h.facts(2).Subscribed || h.profile(2).Events["E"].Count != 2 || len(h.profile(2).Devices) != 1 {
		h.Errorf("the old device: %+v; the new one: %+v", h.facts(1), h.profile(2))
	}
	if t := move(2, 2, 3, login("ann"), event("E", epoch)); t.Replaced || h.profile(2).Events["E"].Count != 3 {
		h.Error("a login of who it is already replaces the device")
	}
	if t := move(3, 2, 3, people.Entry{Kind: people.EntryLogout, Time: epoch}); !t.Replaced || len(h.profile(3).Identities) != 0 || !h.facts(3).Subscribed {
		h.Error("a logout replaces nothing")
	}
	if t := move(1, 2, 4, event("E", epoch)); t.Repeated {
		h.Error("a batch of a device without a person counts as a repetition")
	}
}
