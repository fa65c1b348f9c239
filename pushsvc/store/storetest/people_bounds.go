package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

func testPeopleBounds(h *harness) {
	long := map[string]any{"text": string(make([]byte, 1000))}
	for n := range 300 {
		h.track(1, people.Entry{
			Kind: people.EntryEvent, Name: fmt.Sprintf("E%d", n), Time: epoch.Add(time.Duration(n) * time.Second), Props: long,
		})
	}
	p := h.profile(1)
	if _, there := p.Events["E299"]; len(p.Events) != people.MaxPersonEvents || !there {
		h.Errorf("%d events are counted, the latest of them %v", len(p.Events), there)
	}
	history := h.person(p.ID).History
	if n := len(history); n == 0 || n > people.MaxHistory || history[n-1].Name != "E299" {
		h.Errorf("%d events of history", n)
	}
	size := 0
	for _, ref := range p.History {
		size += ref.Size
	}
	if size > people.MaxHistorySize || size < people.MaxHistorySize/2 {
		h.Errorf("%d bytes of history", size)
	}
	for n := range people.MaxDevices + 5 {
		h.track(100+n, login("ann"))
	}
	ann, err := h.PersonBy(h.Context(), siteA, login("ann").Identities[0])
	if err != nil || len(ann.Devices) != people.MaxDevices || h.profile(100).ID != ann.ID || h.profile(124).ID == ann.ID {
		h.Errorf("%d devices, %v; the first should stay", len(ann.Devices), err)
	}
	big := map[string]any{}
	for n := range 40 {
		big[fmt.Sprint("k", n)] = string(make([]byte, 200)) // 6 bytes each in JSON
	}
	h.track(1, people.Entry{Kind: people.EntryProfile, Time: epoch, Set: map[string]any{"Name": "Ann"}})
	h.track(1, people.Entry{Kind: people.EntryProfile, Time: epoch, Set: big})
	h.same("attributes", h.profile(1).Attributes, map[string]any{"Name": "Ann"})
}

func testPeopleSiteBounds(h *harness) {
	limits := people.Limits{Anonymous: 2, EventNames: 2}
	hours := 0
	send := func(n int, entries ...people.Entry) people.Tracked {
		hours++
		return h.trackBatch(siteA, people.Batch{Device: device(n), ID: batchID(hours), At: epoch.Add(time.Duration(hours) * time.Minute), Entries: entries, Limits: limits, Rejected: 1})
	}
	for n := 1; n <= 2; n++ { // a subscription keeps a profile
		s := sub(siteA, n)
		s.Device = device(n)
		h.putSub(s, nil)
	}
	send(1, event("E", epoch))
	send(2, event("F", epoch))
	if t := send(3, event("E", epoch)); !t.Refused || h.facts(3).Profile != nil {
		h.Error("the third anonymous profile is not refused, though both others subscribe")
	}
	if t := send(4, login("ann")); t.Refused || len(h.profile(4).Identities) != 1 {
		h.Error("a known person is refused")
	}
	if t := send(5, login("ann"), event("E", epoch), people.Entry{Kind: people.EntryLogout}); !t.Refused || h.facts(5).Profile != nil {
		h.Error("a logout makes the third anonymous profile")
	}
	if p := h.profile(4); p.Events["E"].Count != 1 || len(p.Devices) != 1 {
		h.Errorf("what came before the logout: %+v", p)
	}
	send(6, login("bob"))
	h.same("numbers", h.people(siteA), people.Counts{
		Profiles: 4, Anonymous: 2, EventNames: 2, RefusedProfiles: 2, RefusedLogins: 6,
	})
	sum, err := h.EventSummary(h.Context(), siteA)
	if err != nil || len(sum) != 2 || sum[0].Count != 2 {
		h.Errorf("summary: %+v, %v", sum, err)
	}
}

// testPeopleMakeRoom: anonymous visitors who never return are evicted first; a
// visitor who has returned, has a subscription or an identity stays, and so do
// their numbers.
func testPeopleMakeRoom(h *harness) {
	limits := people.Limits{Anonymous: 20}
	send := func(n int, at time.Time, entries ...people.Entry) people.Tracked {
		return h.trackBatch(siteA, people.Batch{Device: device(n), At: at, Entries: append(entries, event("E", at)), Limits: limits})
	}
	s := sub(siteA, 1)
	s.Device = device(1)
	h.putSub(s, nil)
	send(1, epoch)                // subscribes
	send(2, epoch, login("ann"))  // is identified
	send(3, epoch)                // comes back
	send(3, epoch.Add(time.Hour)) // here
	for n := range 400 {
		if t := send(100+n, epoch.Add(2*time.Hour+time.Duration(n)*time.Second)); t.Refused {
			h.Fatalf("stranger %d is refused", n)
		}
	}
	counts := h.people(siteA)
	h.same("numbers", []int64{counts.Profiles, counts.Anonymous, counts.RefusedProfiles, counts.EvictedProfiles}, []int64{21, 20, 0, 382})
	page, err := h.ProfilePage(h.Context(), siteA, "", 1000)
	if err != nil || len(page) != 21 {
		h.Errorf("%d rows, %v", len(page), err)
	}
	for n, who := range map[int]string{1: "subscribed", 2: "identified", 3: "returned", 499: "the last one"} {
		if h.facts(n).Profile == nil {
			h.Errorf("%s is gone", who)
		}
	}
	there := 0
	for n := range 400 {
		if h.facts(100+n).Profile != nil {
			there++
		}
	}
	h.same("strangers", there, 18)
	// A site full of returning visitors works too.
	for n := range 60 {
		send(100+n%20, epoch.Add(time.Duration(24*(1+n/20))*time.Hour))
	}
	if t := send(900, epoch.Add(100*time.Hour)); t.Refused || h.facts(1).Profile == nil {
		h.Errorf("a newcomer among those who come back: %+v", t)
	}
}

// testPeopleEventNames: invented event names are evicted first; names of
// returning visitors and of the configuration stay.
func testPeopleEventNames(h *harness) {
	limits := people.Limits{EventNames: 50}
	send := func(n int, at time.Time, entries ...people.Entry) {
		h.trackBatch(siteA, people.Batch{Device: device(n), At: at, Entries: entries, Limits: limits, Names: []string{"Named"}})
	}
	names := func() map[string]int64 {
		all, err := h.EventSummary(h.Context(), siteA)
		if err != nil {
			h.Fatal(err)
		}
		out := map[string]int64{}
		for _, e := range all {
			out[e.Name] = e.Count
		}
		return out
	}
	later := epoch.Add(24 * time.Hour)
	for n := range 10 {
		send(n, epoch, event("Hello", epoch))
	}
	flood := func(from int) {
		for n := range 20 {
			var junk []people.Entry
			for i := range 10 {
				junk = append(junk, event(fmt.Sprint("junk ", from, n, i), later))
			}
			send(1000+from+n, later, junk...)
		}
	}
	flood(0)
	if got := names(); got["Hello"] != 10 || len(got) > 50 {
		h.Errorf("after a flood: %d names, Hello %d times", len(got), got["Hello"])
	}
	send(500, later, event("Named", later))
	for n := range 10 {
		send(n, later, event("Charged", later)) // returning visitors
	}
	flood(100)
	got := names()
	if got["Charged"] != 10 || got["Named"] != 1 || got["Hello"] != 10 || len(got) > 50 {
		h.Errorf("after another flood: %d names, Charged %d times, Named %d, Hello %d", len(got), got["Charged"], got["Named"], got["Hello"])
	}
	counts := h.people(siteA)
	if int(counts.EventNames) != len(got) || counts.EvictedEvents == 0 {
		h.Errorf("%d names, counted %+v", len(got), counts)
	}
}

// testPeopleStrangers: invented posts neither fill the store nor evict the site's
// own events.
func testPeopleStrangers(h *harness) {
	limits := people.Limits{Known: 2, EventNames: 1}
	send := func(n int, trusted bool, entries ...people.Entry) {
		h.trackBatch(siteA, people.Batch{Device: device(n), At: epoch, Entries: entries, Limits: limits, Trusted: trusted})
	}
	send(1, false, login("a"), event("Junk", epoch))
	send(2, false, login("b"), login("c"), login("d"))
	if p := h.profile(2); len(p.Identities) != 1 {
		h.Errorf("a person beyond the bound: %+v", p)
	}
	send(3, false, login("e"))
	if p := h.profile(3); p.Known() {
		h.Error("a stranger's login beyond the bound is kept")
	}
	send(4, false, login("a"))
	if p := h.profile(4); len(p.Identities) != 1 || p.Identities[0].Value != "a" {
		h.Errorf("a known person can no longer log in: %+v", p)
	}
	send(3, true, login("f"), event("Charged", epoch))
	if p := h.profile(3); !p.Known() {
		h.Error("a trusted login is refused")
	}
	send(2, false, event("Junk 2", epoch))
	h.same("numbers", h.people(siteA), people.Counts{Profiles: 3, EventNames: 1, RefusedEvents: 1, RefusedLogins: 3, EvictedEvents: 1})
	if sum, err := h.EventSummary(h.Context(), siteA); err != nil || len(sum) != 1 || sum[0].Name != "Charged" {
		h.Errorf("summary: %+v, %v", sum, err)
	}
	for n := range 40 {
		name := fmt.Sprint(n, string(bytes.Repeat([]byte("x"), 1000)))
		h.track(5, event(name, epoch.Add(time.Duration(n)*time.Second)))
	}
	size := 0
	for name := range h.profile(5).Events {
		size += len(name)
	}
	if size > people.MaxPersonEventNames || size < people.MaxPersonEventNames/2 {
		h.Errorf("names of events take %d bytes in a row that is written with each batch", size)
	}
}

func testPeopleSubscriptions(h *harness) {
	s := sub(siteA, 1)
	s.Device, s.Topics = device(1), []string{"news"}
	row := h.putSub(s, nil)
	h.same("device", row.Device, device(1))
	if f := h.facts(1); !f.Subscribed || f.Profile != nil || h.facts(2).Subscribed {
		h.Errorf("facts: %+v", f)
	}
	s.Device = pushsvc.DeviceID{}
	h.same("a visit without a device", h.putSub(s, nil).Device, device(1))
	h.track(1, login("ann"))
	ann := h.profile(1).ID
	h.same("of the person", h.person(ann).Subscriptions, []pushsvc.Subscription{row})
	other := sub(siteA, 2) // the browser's next subscription replaces the first
	h.putSub(other, proof(1))
	h.same("after a replacement", h.facts(1).Subscribed, true)
	other.Device = device(2)
	h.putSub(other, nil)
	h.same("after another device has it", []bool{h.facts(1).Subscribed, h.facts(2).Subscribed}, []bool{false, true})
	stranger := sub(siteA, 2)
	stranger.Auth, stranger.Device = auth(9), device(9)
	h.putSub(stranger, nil)
	if h.facts(9).Subscribed {
		h.Error("knowing an endpoint is enough to link it to a device")
	}
	if err := h.DeleteSubscription(h.Context(), siteA, row.ID); err != nil || h.facts(2).Subscribed {
		h.Errorf("after it was deleted it is still there, %v", err)
	}
}

func testPeopleErase(h *harness) {
	s := sub(siteA, 1)
	s.Device = device(1)
	h.putSub(s, nil)
	kept := h.put(siteA, 2)
	h.track(1, login("ann"), event("E", epoch), event("Ann's own", epoch))
	h.track(2, login("ann"), event("Ann's own", epoch))
	h.track(3, login("bob"), event("E", epoch), event("Bob's own", epoch))
	id := h.profile(1).ID
	if err := h.ErasePerson(h.Context(), siteA, id); err != nil {
		h.Fatal(err)
	}
	_, err := h.Person(h.Context(), siteA, id)
	h.is("the profile", err, pushsvc.ErrNotFound)
	_, err = h.PersonBy(h.Context(), siteA, login("ann").Identities[0])
	h.is("by identity", err, pushsvc.ErrNotFound)
	h.is("erasing again", h.ErasePerson(h.Context(), siteA, id), pushsvc.ErrNotFound)
	if h.facts(1).Profile != nil || h.facts(2).Profile != nil || h.facts(1).Subscribed || h.profile(3).Events["E"].Count != 1 {
		h.Error("devices or a subscription are left, or others' are gone")
	}
	h.same("subscriptions", h.all(siteA), []pushsvc.Subscription{kept})
	h.same("count", h.count(siteA), int64(1))
	h.same("numbers", h.people(siteA), people.Counts{Profiles: 1, EventNames: 2})
	events, err := h.EventSummary(h.Context(), siteA)
	if err != nil || len(events) != 2 || events[0].Name != "Bob's own" || events[1].Name != "E" || events[1].Count != 2 {
		h.Errorf("the site's events: %+v, %v", events, err)
	}
	h.track(1, login("ann"))
	if p := h.profile(1); p.ID == id || len(p.Events) != 0 {
		h.Errorf("who comes back is not new: %+v", p)
	}
}

func testPeoplePages(h *harness) {
	for n := range 25 {
		h.track(n, event("E", epoch))
	}
	var ids []string
	after := ""
	for {
		page, err := h.ProfilePage(h.Context(), siteA, after, 10)
		if err != nil {
			h.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			ids = append(ids, p.ID)
		}
		after = ids[len(ids)-1]
	}
	if len(ids) != 25 || !slices.IsSorted(ids) || len(slices.Compact(ids)) != 25 {
		h.Errorf("%d ids, sorted %v", len(ids), slices.IsSorted(ids))
	}
}

func testPeoplePruneHistory(h *harness) {
	for n := range 5 {
		h.track(1, event("E", epoch.Add(time.Duration(n)*time.Hour)))
	}
	h.track(1, event("Late", epoch.Add(-time.Hour)))
	prune := func(before time.Time, limit int) int {
		n, err := h.PruneHistory(h.Context(), siteA, before, limit)
		if err != nil {
			h.Fatal(err)
		}
		return n
	}
	h.same("first", prune(epoch.Add(2*time.Hour), 1), 1)
	h.same("second", prune(epoch.Add(2*time.Hour), 100), 1)
	h.same("third", prune(epoch.Add(2*time.Hour), 100), 0)
	p := h.profile(1)
	h.same("counts stay", p.Events["E"].Count, int64(5))
	h.same("history", len(h.person(p.ID).History), 4)
	h.same("all", prune(epoch.Add(24*time.Hour), 100), 4)
	h.same("nothing", len(h.person(p.ID).History), 0)
}

func testPeoplePruneAnonymous(h *harness) {
	day := 24 * time.Hour
	at := func(n int, at time.Time, entries ...people.Entry) {
		h.trackBatch(siteA, people.Batch{Device: device(n), At: at, Entries: entries})
	}
	at(1, epoch, event("E", epoch), event("made up", epoch))
	at(2, epoch, login("ann"))
	at(3, epoch.Add(10*day), event("E", epoch.Add(10*day)))
	at(4, epoch, event("E", epoch))
	s := sub(siteA, 1)
	s.Device = device(4)
	h.putSub(s, nil)
	removed, after, rounds := 0, "", 0
	for {
		next, n, err := h.PruneAnonymous(h.Context(), siteA, after, epoch.Add(5*day), 3)
		if err != nil {
			h.Fatal(err)
		}
		removed, rounds = removed+n, rounds+1
		if after = next; next == "" {
			break
		}
	}
	h.same("removed", []int{removed, rounds}, []int{1, 2})
	h.same("remaining visitors", []bool{h.facts(1).Profile == nil, h.facts(2).Profile == nil, h.facts(3).Profile == nil, h.facts(4).Profile == nil}, []bool{true, false, false, false})
	h.same("numbers", h.people(siteA), people.Counts{Profiles: 3, Anonymous: 2, EventNames: 1})
}

// testPeopleFoldPopups: hours are folded into one, some at a time, and no count
// is lost, nor any row of other pop-ups and sites changed.
func testPeopleFoldPopups(h *harness) {
	acted := func(site, popup string, hour int, element string) {
		at := epoch.Add(time.Duration(hour) * time.Hour)
		h.trackBatch(site, people.Batch{Device: device(1), At: at, Entries: []people.Entry{
			{Kind: people.EntryPopup, Time: at, Popup: &people.PopupAct{Popup: popup, Variant: "a", Act: people.ActViewed}},
			{Kind: people.EntryPopup, Time: at, Popup: &people.PopupAct{Popup: popup, Variant: "a", Act: people.ActClicked, Element: element}},
		}})
	}
	for hour := range 6 {
		acted(siteA, "sale", hour, fmt.Sprint("b", hour%2))
		acted(siteA, "sale-2", hour, "b0")
		acted(siteB, "sale", hour, "b0")
	}
	fold := func(hours, limit int) int {
		n, err := h.FoldPopups(h.Context(), siteA, epoch.Add(time.Duration(hours)*time.Hour), limit)
		if err != nil {
			h.Fatal(err)
		}
		return n
	}
	stats := func(site, popup string) (hours []int64, sums map[string]int64) {
		all, err := h.PopupStats(h.Context(), site, popup, time.Time{}, time.Time{})
		if err != nil {
			h.Fatal(err)
		}
		sums = map[string]int64{}
		for _, c := range all {
			sums[c.Variant+" "+string(c.Act)+" "+c.Element] += c.Count
			if n := c.Hour.Unix() / 3600; !slices.Contains(hours, n) {
				hours = append(hours, n)
			}
		}
		return hours, sums
	}
	_, before := stats(siteA, "sale")
	first := epoch.Unix() / 3600
	h.same("some at a time", []int{fold(4, 3), fold(4, 3), fold(4, 3), fold(4, 3)}, []int{3, 3, 2, 0})
	for _, popup := range []string{"sale", "sale-2"} {
		hours, sums := stats(siteA, popup)
		h.same(popup+": hours", hours, []int64{0, first + 4, first + 5})
		if popup == "sale" {
			h.same("sums", sums, before)
		}
	}
	h.same("more of them later", []int{fold(5, 100), fold(5, 100)}, []int{2, 0})
	hours, sums := stats(siteA, "sale")
	h.same("hours at the end", hours, []int64{0, first + 5})
	h.same("sums at the end", sums, before)
	other, _ := stats(siteB, "sale")
	h.same("another site's hours", len(other), 6)
	all, err := h.PopupStats(h.Context(), siteA, "sale", epoch, time.Time{})
	if err != nil || len(all) != 2 {
		h.Errorf("from a time on: %+v, %v", all, err)
	}
}
