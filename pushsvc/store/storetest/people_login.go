package storetest

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

func testPeopleLogin(h *harness) {
	h.track(1, event("E", epoch))
	before := h.profile(1)
	e := login("ann")
	e.Identities = append(e.Identities, people.Identity{Kind: people.IdentityEmail, Value: "ann@a.example"})
	e.Set = map[string]any{"Name": "Ann"}
	h.track(1, e)
	p := h.profile(1)
	if p.ID != before.ID || p.Events["E"].Count != 1 || p.Attributes["Name"] != "Ann" || len(p.Identities) != 2 {
		h.Errorf("the first login makes another profile: %+v", p)
	}
	byMail, err := h.PersonBy(h.Context(), siteA, e.Identities[1])
	if err != nil || byMail.ID != p.ID {
		h.Errorf("by e-mail address: %q, %v", byMail.ID, err)
	}
	_, err = h.PersonBy(h.Context(), siteA, people.Identity{Kind: people.IdentityID, Value: "ann@a.example"})
	h.is("another kind of identity", err, pushsvc.ErrNotFound)
	h.same("numbers", h.people(siteA), people.Counts{Profiles: 1, EventNames: 1})
}

func testPeopleMerge(h *harness) {
	h.track(1, login("ann"), event("E", epoch), popupEntry(people.ActViewed, epoch), people.Entry{Kind: people.EntryProfile, Time: epoch, Set: map[string]any{"Name": "Ann"}})
	known := h.profile(1)
	h.track(2, event("E", epoch.Add(-time.Hour)), event("F", epoch), popupEntry(people.ActViewed, epoch.Add(time.Minute)),
		people.Entry{Kind: people.EntryProfile, Time: epoch, Set: map[string]any{"Name": "?", "City": "Rome"}},
		people.Entry{Kind: people.EntryVisit, Time: epoch})
	anonymous := h.profile(2)
	h.track(2, login("ann"), event("G", epoch))
	p := h.profile(2)
	if p.ID != known.ID || len(p.Devices) != 2 {
		h.Errorf("the device belongs to %q with %d devices, want %q with 2", p.ID, len(p.Devices), known.ID)
	}
	h.same("attributes", p.Attributes, map[string]any{"Name": "Ann", "City": "Rome"})
	h.same("events", p.Events["E"], people.EventCount{Count: 2, First: epoch.Add(-time.Hour), Last: epoch})
	h.same("views", p.Popups["sale"].Viewed, int64(2))
	h.same("visits", p.Visits, int64(1))
	var names []string
	for _, r := range h.person(p.ID).History {
		names = append(names, r.Name)
	}
	h.same("history", names, []string{"E", "E", "F", "G"})
	_, err := h.Person(h.Context(), siteA, anonymous.ID)
	h.is("the anonymous profile", err, pushsvc.ErrNotFound)
	h.same("numbers", h.people(siteA), people.Counts{Profiles: 1, EventNames: 3})
}

func testPeopleSwitch(h *harness) {
	h.track(1, login("ann"), event("E", epoch))
	h.track(1, login("bob"), event("F", epoch))
	h.track(2, login("cid"))
	h.track(2, login("ann"))
	bob, ann := h.profile(1), h.profile(2)
	if bob.ID == ann.ID || bob.Events["E"].Count != 0 || bob.Events["F"].Count != 1 || len(bob.Devices) != 1 {
		h.Errorf("bob: %+v", bob)
	}
	if ann.Events["E"].Count != 1 || len(ann.Devices) != 1 || ann.Devices[0].ID != device(2) {
		h.Errorf("ann: %+v", ann)
	}
	h.same("numbers", h.people(siteA), people.Counts{Profiles: 3, EventNames: 2})
	// A batch with several logins counts for each of them.
	h.track(3, event("E", epoch), login("dan"), event("E", epoch), login("eve"), event("E", epoch), event("E", epoch))
	dan, err := h.PersonBy(h.Context(), siteA, people.Identity{Kind: people.IdentityID, Value: "dan"})
	if err != nil || dan.Events["E"].Count != 2 || len(dan.Devices) != 0 || h.profile(3).Events["E"].Count != 2 {
		h.Errorf("dan %+v, %v; eve %+v", dan.Events, err, h.profile(3).Events)
	}
}

func testPeopleLogout(h *harness) {
	h.track(1, login("ann"), event("E", epoch))
	ann := h.profile(1)
	logout := people.Entry{Kind: people.EntryLogout, Time: epoch}
	h.track(1, logout)
	after := h.profile(1)
	if after.ID == ann.ID || after.Known() || len(after.Events) != 0 {
		h.Errorf("after the logout: %+v", after)
	}
	h.track(1, logout, event("F", epoch))
	if h.profile(1).ID != after.ID {
		h.Error("a logout of an anonymous visitor makes a new profile")
	}
	h.track(1, login("ann"))
	if p := h.profile(1); p.ID != ann.ID || p.Events["F"].Count != 1 {
		h.Errorf("after the next login: %+v", p)
	}
}

func testPeopleOptOut(h *harness) {
	out := people.Entry{Kind: people.EntryOptOut, OptOut: true}
	h.track(1, event("E", epoch))
	id := h.profile(1).ID
	if t := h.track(1, out, event("F", epoch)); !t.Forgotten {
		h.Error("the store doesn't say that the visitor has opted out")
	}
	_, err := h.Person(h.Context(), siteA, id)
	h.is("an anonymous profile that opted out", err, pushsvc.ErrNotFound)
	h.track(2, login("ann"))
	ann := h.profile(2).ID
	h.track(2, out)
	if f := h.facts(2); f.Profile != nil || len(h.person(ann).Profile.Devices) != 0 {
		h.Error("the device of a known person who opted out is still theirs")
	}
	h.track(3, out)
	if h.facts(3).Profile != nil {
		h.Error("opting out makes a profile")
	}
	if t := h.track(1, people.Entry{Kind: people.EntryOptOut}, event("G", epoch)); t.Forgotten || h.profile(1).Events["G"].Count != 1 {
		h.Error("opting in again does not work")
	}
	h.same("numbers", h.people(siteA), people.Counts{Profiles: 2, Anonymous: 1, EventNames: 2})
	// A browser that gets no answer repeats it: its device then has no person.
	for range 2 {
		h.trackBatch(siteA, people.Batch{Device: device(4), ID: batchID(4), At: epoch, Entries: []people.Entry{event("E", epoch), popupEntry(people.ActViewed, epoch), out}})
	}
	sum, err := h.EventSummary(h.Context(), siteA)
	if err != nil || len(sum) != 2 || sum[0].Count != 1 || len(h.stats()) != 0 {
		h.Errorf("an opt-out that is repeated counts what was before it: %+v, %v, %v", sum, err, h.stats())
	}
}
