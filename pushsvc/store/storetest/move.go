package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

var moveTests = []test{
	{"site/renamed", testMoveRename},
	{"site/merged", testMoveMerge},
	{"site/merged, people", testMovePeople},
	{"site/what is posted while it moves", testMoveMeanwhile},
	{"site/messages that wait come along", testMoveMessages},
	{"site/names one after the other", testMoveChain},
	{"site/what can't be renamed", testMoveRefused},
}

const siteNew = "new.example"

// move moves all rows of a site to another name, in pieces.
func (h *harness) move(from, into string, limit int) pushsvc.SiteMove {
	h.Helper()
	m, err := h.BeginMove(h.Context(), from, into, epoch)
	if err != nil {
		h.Fatalf("BeginMove: %v", err)
	}
	return h.finishMove(m, limit)
}

func (h *harness) finishMove(m pushsvc.SiteMove, limit int) pushsvc.SiteMove {
	h.Helper()
	for pieces := 0; m.Running; pieces++ {
		var err error
		if m, err = h.MoveRows(h.Context(), m.From, limit); err != nil || pieces > 10_000 {
			h.Fatalf("MoveRows, piece %d: %v", pieces, err)
		}
	}
	return m
}

// still ends an engine's work on the first message of fillSite.
func (h *harness) still(site string) {
	h.Helper()
	if m := h.control(site, 1, pushsvc.CommandCancel, epoch.Add(2*time.Minute)); m.State != pushsvc.StateCancelled {
		h.Fatalf("it is %s", m.State)
	}
}

// testMoveRename: all rows of a site are under its new name, and the old name
// refers to it.
func testMoveRename(h *harness) {
	h.fillSite(siteA)
	h.still(siteA)
	h.fillSite(siteB)
	before, other := h.traces(siteA), h.traces(siteB)
	rows, numbers, kept := h.all(siteA), h.people(siteA), h.profile(1)
	m := h.move(siteA, siteNew, 1)
	h.same("what is there", h.traces(siteNew), before)
	h.same("another site", h.traces(siteB), other)
	h.same("moved", m.Moved, pushsvc.SiteMoved{Subscriptions: 3, Messages: 2, Profiles: 3, Popups: 1, Uploads: 1, Settings: 1})
	h.same("numbers", h.people(siteNew), numbers)
	h.same("of the old name", h.people(siteA), people.Counts{})
	for i := range rows {
		rows[i].Site = siteNew
	}
	h.same("subscriptions", h.all(siteNew), rows)
	h.same("by the old name", h.all(siteA), rows)
	now := h.profile(1) // by the old name
	h.same("a profile", []any{now.ID, now.Identities, now.Devices, now.Events, now.Popups, now.Shown}, []any{kept.ID, kept.Identities, kept.Devices, kept.Events, kept.Popups, kept.Shown})
	if p := h.person(now.ID); len(p.History) != 1 || len(p.Subscriptions) != 1 {
		h.Errorf("history %v, subscriptions %v", p.History, p.Subscriptions)
	}
	// A browser with an old page posts under the old name.
	if row := h.put(siteA, 1); row.ID != rows[1].ID || row.Site != siteNew || h.count(siteNew) != 3 {
		h.Errorf("posted again: id %d of %s, %d subscriptions", row.ID, row.Site, h.count(siteNew))
	}
	if n, err := h.AddReceipts(h.Context(), siteA, messageID(1), []pushsvc.Receipt{
		{Subscription: 1, Kind: pushsvc.ReceiptShown}, {Subscription: 2, Kind: pushsvc.ReceiptShown},
	}); n != 1 || err != nil {
		h.Errorf("%d receipts are new, %v", n, err)
	}
	if m := h.message(siteNew, 1); m.Progress.Shown != 2 {
		h.Errorf("shown %d", m.Progress.Shown)
	}
	again := message(siteNew, 9)
	if row, created, err := h.CreateMessage(h.Context(), again, pushsvc.Idempotency{Key: messageID(2), Expires: epoch.Add(time.Hour)}); created || err != nil || row.ID != messageID(2) {
		h.Errorf("a repeated request made %s, %v, %v", row.ID, created, err)
	}
	if m2, err := h.BeginMove(h.Context(), siteA, siteNew, epoch.Add(time.Hour)); err != nil || m2.Running || !m2.Begun.Equal(m.Begun) {
		h.Errorf("begun again: %+v, %v", m2, err)
	}
	h.sweep(100)
	h.same("after the rows are gone", h.traces(siteNew)["subscriptions"], 3)
}

// testMoveMerge: rows of both sites are merged by the rules.
func testMoveMerge(h *harness) {
	newer := sub(siteA, 1)
	newer.Seen, newer.Auth, newer.Topics = epoch.Add(time.Hour), auth(77), []string{"b"}
	older := sub(siteA, 2)
	older.Seen, older.Auth, older.Topics = epoch.Add(-time.Hour), auth(78), []string{}
	only := h.put(siteA, 3)
	h.putSub(newer, nil)
	h.putSub(older, nil)
	into := sub(siteB, 2)
	into.Topics = []string{"a"}
	first, second := h.put(siteB, 1), h.putSub(into, nil)
	h.put(siteB, 4)
	h.putSetting(setting(siteA, "prompt", `{"of":"a"}`), 0)
	h.putSetting(setting(siteA, "other", `{"of":"a"}`), 0)
	h.putSetting(setting(siteB, "prompt", `{"of":"b"}`), 0)
	same := storedPopup(siteA, "same", "Same")
	h.putPopup(same, 0)
	h.putPopup(storedPopup(siteA, "sale", "A's"), 0)
	same.Site = siteB
	h.putPopup(same, 0)
	h.putPopup(storedPopup(siteB, "sale", "B's"), 0)
	for n := 1; n <= 2; n++ {
		h.trackBatch(siteA, people.Batch{Device: device(n), At: epoch, Entries: []people.Entry{event("E", epoch), popupEntry(people.ActViewed, epoch)}})
	}
	h.trackBatch(siteB, people.Batch{Device: device(7), At: epoch, Entries: []people.Entry{event("E", epoch), event("F", epoch), popupEntry(people.ActViewed, epoch)}})
	a := message(siteA, 1)
	a.Content.Title = "A's"
	h.create(a)
	h.create(message(siteB, 1))
	for _, site := range []string{siteA, siteB} {
		h.finish(h.claim(site, 1, epoch), epoch, pushsvc.OutcomeAccepted)
	}

	m := h.move(siteA, siteB, 2)
	h.same("moved", []int64{m.Moved.Subscriptions, m.Moved.Joined, m.Moved.Messages, m.Moved.Popups, m.Moved.Settings}, []int64{1, 2, 1, 1, 1})
	rows := h.all(siteB)
	h.same("subscriptions", h.count(siteB), int64(4))
	if len(rows) != 4 || rows[0].ID != first.ID || rows[0].Auth != auth(77) || !rows[0].Seen.Equal(newer.Seen) || !slices.Equal(rows[0].Topics, []string{"b"}) {
		h.Errorf("the newer keys and topics: %+v", rows)
	}
	if rows[1].ID != second.ID || rows[1].Auth != auth(2) || rows[1].Topics == nil || len(rows[1].Topics) > 0 {
		h.Errorf("no topics at one site, but some at the other: %+v", rows[1])
	}
	if last := rows[3]; last.Endpoint != only.Endpoint || last.ID <= rows[2].ID {
		h.Errorf("the one that came: %+v", last)
	}
	h.same("B's setting", string(h.setting(siteB, "prompt").Document), `{"of":"b"}`)
	h.same("A's setting", string(h.setting(siteB, "other").Document), `{"of":"a"}`)
	var popups []string
	for _, p := range h.popups(siteB) {
		popups = append(popups, fmt.Sprint(p.Popup.ID, " ", p.Popup.Content.Title, " ", p.Popup.State))
	}
	h.same("pop-ups", popups, []string{"sale B's running", "sale-2 A's paused", "same Same running"})
	for id, want := range map[string]int64{"sale": 1, "sale-2": 2} {
		stats, err := h.PopupStats(h.Context(), siteB, id, time.Time{}, time.Time{})
		if err != nil || len(stats) != 1 || stats[0].Count != want {
			h.Errorf("counters of %s: %v, %v", id, stats, err)
		}
	}
	events, err := h.EventSummary(h.Context(), siteB)
	if err != nil || len(events) != 2 || events[0].Count != 3 || events[1].Count != 1 {
		h.Errorf("events %v, %v", events, err)
	}
	if p := h.profile(1); p.Popups["sale-2"].Viewed != 1 || len(p.Shown) != 1 || p.Shown[0].Popup != "sale-2" {
		h.Errorf("a visitor's pop-ups: %v, %v", p.Popups, p.Shown)
	}
	h.same("numbers", h.people(siteB), people.Counts{Profiles: 3, Anonymous: 3, EventNames: 2})
	page, err := h.MessagePage(h.Context(), siteB, "", 10)
	if err != nil || len(page) != 2 || page[0].ID != messageID(1)+"-2" || page[0].Content.Title != "A's" || page[0].Progress.Accepted != 3 {
		h.Errorf("messages: %+v, %v", page, err)
	}
	// One push per recipient from now on.
	next := h.create(message(siteB, 20))
	h.same("audience", next.Progress.Audience, int64(4))
	done := h.finish(h.claim(siteB, 20, epoch), epoch, pushsvc.OutcomeAccepted)
	h.same("accepted", done.Progress.Accepted, int64(4))
}

// testMovePeople: one person at both sites becomes one, and no two different
// people are merged.
func testMovePeople(h *harness) {
	batch := func(site string, d int, at time.Time, trusted bool, entries ...people.Entry) {
		h.trackBatch(site, people.Batch{Device: device(d), ID: batchID(d), At: at, Trusted: trusted, Entries: entries})
	}
	set := func(value string) people.Entry {
		return people.Entry{Kind: people.EntryProfile, Time: epoch, Set: map[string]any{"color": value}}
	}
	later := epoch.Add(time.Hour)
	// Ann, unproven at both: one person; A's values are newer.
	batch(siteB, 1, epoch, false, login("ann"), set("blue"), event("E", epoch))
	batch(siteA, 2, later, false, login("ann"), set("red"), event("E", later))
	// Bob has proven his identity at A only, Cem at B only.
	batch(siteB, 3, epoch, false, login("bob"))
	batch(siteA, 4, epoch, true, login("bob"))
	batch(siteB, 5, epoch, true, login("cem"))
	batch(siteA, 6, epoch, false, login("cem"))
	// A browser at both sites: known at A, anonymous at B; and the reverse.
	batch(siteB, 7, epoch, false, event("X", epoch))
	batch(siteA, 7, later, false, login("dee"))
	batch(siteB, 8, epoch, false, login("eve"))
	batch(siteA, 8, later, false, event("X", later))
	// Two people with one browser.
	batch(siteB, 9, epoch, false, login("fay"))
	batch(siteA, 9, later, false, login("gus"))

	m := h.move(siteA, siteB, 1)
	h.same("moved", []int64{m.Moved.Profiles, m.Moved.JoinedProfiles}, []int64{4, 2})
	by := func(value string) people.Profile {
		h.Helper()
		p, err := h.PersonBy(h.Context(), siteB, login(value).Identities[0])
		if err != nil {
			h.Fatalf("%s: %v", value, err)
		}
		return p
	}
	devices := func(p people.Profile) (ids []pushsvc.DeviceID) {
		for _, d := range p.Devices {
			ids = append(ids, d.ID)
		}
		slices.SortFunc(ids, func(a, b pushsvc.DeviceID) int { return slices.Compare(a[:], b[:]) })
		return ids
	}
	ann := by("ann")
	h.same("ann's devices", devices(ann), []pushsvc.DeviceID{device(1), device(2)})
	if ann.Events["E"].Count != 2 || ann.Attributes["color"] != "red" || !ann.Shared {
		h.Errorf("ann: %+v", ann)
	}
	if p := h.person(ann.ID); len(p.History) != 2 {
		h.Errorf("ann's history: %v", p.History)
	}
	if bob := by("bob"); !bob.Proven || !slices.Equal(devices(bob), []pushsvc.DeviceID{device(4)}) {
		h.Errorf("bob: %+v", bob)
	}
	if p := h.profile(3); p.Known() || len(p.Claims) != 1 {
		h.Errorf("who says to be bob: %+v", p)
	}
	if cem := by("cem"); !cem.Proven || !slices.Equal(devices(cem), []pushsvc.DeviceID{device(5)}) {
		h.Errorf("cem: %+v", cem)
	}
	if p := h.profile(6); p.Known() || len(p.Claims) != 1 {
		h.Errorf("who says to be cem: %+v", p)
	}
	if dee := by("dee"); dee.Events["X"].Count != 1 || h.profile(7).ID != dee.ID {
		h.Errorf("dee: %+v", dee)
	}
	if eve := by("eve"); eve.Events["X"].Count != 1 || h.profile(8).ID != eve.ID {
		h.Errorf("eve: %+v", eve)
	}
	if fay, gus := by("fay"), by("gus"); h.profile(9).ID != gus.ID || len(fay.Devices) != 0 {
		h.Errorf("the browser of two: %+v, %+v", fay, gus)
	}
	h.same("numbers", h.people(siteB), people.Counts{Profiles: 9, Anonymous: 2, EventNames: 2})
	// Erasure finds profiles that only claim the identity.
	if n, err := h.EraseIdentity(h.Context(), siteB, login("bob").Identities[0], 10); n != 2 || err != nil {
		h.Errorf("erased %d, %v", n, err)
	}
	h.same("numbers", h.people(siteB).Profiles, int64(7))
	// A batch from before the move that is posted again counts once.
	if out := h.trackBatch(siteA, people.Batch{Device: device(2), ID: batchID(2), At: later, Entries: []people.Entry{event("E", later)}}); !out.Repeated {
		h.Error("a repeated batch counted")
	}
}

// testMoveMeanwhile: posts of browsers between the pieces, under either name, are
// stored once, and an unsubscribed visitor does not come back.
func testMoveMeanwhile(h *harness) {
	for n := range 40 {
		s := sub(siteA, n)
		s.Device = device(n)
		h.putSub(s, nil)
		h.trackBatch(siteA, people.Batch{Device: device(n), ID: batchID(n), At: epoch, Entries: []people.Entry{event("E", epoch)}})
	}
	h.create(message(siteA, 1))
	h.finish(h.claim(siteA, 1, epoch), epoch, pushsvc.OutcomeAccepted)
	h.put(siteB, 100)
	h.putPopup(storedPopup(siteA, "sale", "Sale"), 0)
	if _, err := h.PutUpload(h.Context(), upload(siteA, "a.png", "image")); err != nil {
		h.Fatal(err)
	}
	m, err := h.BeginMove(h.Context(), siteA, siteB, epoch)
	if err != nil || !m.Running {
		h.Fatal(m, err)
	}
	gone := map[int]bool{}
	step := 0
	for ; m.Running; step++ {
		names := []string{siteA, siteB}
		n, site := step%40, names[step%2]
		switch {
		case step < 20: // subscribes again
			s := sub(site, n)
			s.Device = device(n)
			h.putSub(s, nil)
			h.trackBatch(site, people.Batch{Device: device(n), At: epoch, Entries: []people.Entry{event("E", epoch)}})
		case step < 30: // unsubscribes, and opts out of tracking
			if ok, err := h.DeleteProven(h.Context(), site, *proof(n)); err != nil || !ok {
				h.Errorf("step %d: unsubscribed %v, %v", step, ok, err)
			}
			h.trackBatch(site, people.Batch{Device: device(n), At: epoch, Entries: []people.Entry{{Kind: people.EntryOptOut, OptOut: true, Time: epoch}}})
			gone[n] = true
		case step < 35: // the push service assigns another endpoint
			s := sub(site, n+1000)
			s.Device = device(n)
			h.putSub(s, proof(n))
		case step == 35:
			if n, err := h.AddReceipts(h.Context(), siteA, messageID(1), []pushsvc.Receipt{{Subscription: 7, Kind: pushsvc.ReceiptClicked}}); n != 1 || err != nil {
				h.Errorf("%d receipts, %v", n, err)
			}
			if u, err := h.Upload(h.Context(), siteB, "a.png"); err != nil || string(u.Data) != "image" {
				h.Errorf("an image: %q, %v", u.Data, err)
			}
		}
		if step < 36 {
			_, _, err := h.CreateMessage(h.Context(), message(siteB, 50), pushsvc.Idempotency{})
			h.is("a message", err, pushsvc.ErrSiteMoving)
			h.is("erasing", h.ErasePerson(h.Context(), siteB, people.NewProfileID(epoch)), pushsvc.ErrSiteMoving)
			_, err = h.EraseIdentity(h.Context(), siteA, login("x").Identities[0], 1)
			h.is("erasing by identity", err, pushsvc.ErrSiteMoving)
			_, err = h.ErasePeople(h.Context(), siteB, []pushsvc.PersonSeen{{ID: people.NewProfileID(epoch), Seen: epoch}})
			h.is("erasing many", err, pushsvc.ErrSiteMoving)
			h.is("removing the old name", h.RemoveSite(h.Context(), siteA), pushsvc.ErrSiteMoving)
			h.is("removing the new one", h.RemoveSite(h.Context(), siteB), pushsvc.ErrSiteMoving)
			if sites, err := h.Sites(h.Context()); err != nil || len(sites) != 1 || sites[0].Site != siteB {
				h.Errorf("sites %v, %v", sites, err)
			}
			if step < 20 {
				continue // everything before the first piece
			}
		}
		if m, err = h.MoveRows(h.Context(), siteA, 1); err != nil || step > 2000 {
			h.Fatal(step, err)
		}
	}
	if step < 36 {
		h.Fatalf("only %d pieces", step)
	}
	seen := map[string]bool{}
	for _, s := range h.all(siteB) {
		if seen[s.Endpoint] {
			h.Errorf("%s is there twice", s.Endpoint)
		}
		seen[s.Endpoint] = true
	}
	h.same("subscriptions", h.count(siteB), int64(41-len(gone)))
	h.same("rows", len(seen), 41-len(gone))
	for n := range 40 {
		f := h.facts(n)
		if f.Subscribed == gone[n] || (f.Profile == nil) != gone[n] {
			h.Errorf("device %d: %+v, gone %v", n, f, gone[n])
		}
		if seen[endpoint(n)] == (gone[n] || n >= 30 && n < 35) {
			h.Errorf("endpoint %d: %v", n, seen[endpoint(n)])
		}
	}
	if f := h.profile(3); f.Events["E"].Count != 2 {
		h.Errorf("events of who came meanwhile: %v", f.Events)
	}
	h.same("numbers", h.people(siteB).Profiles, int64(40-len(gone)))
	if row := h.message(siteB, 1); row.Progress.Clicked != 1 {
		h.Errorf("clicked %d", row.Progress.Clicked)
	}
	h.create(message(siteB, 50))
	if row := h.finish(h.claim(siteB, 50, epoch), epoch, pushsvc.OutcomeAccepted); row.Progress.Accepted != int64(41-len(gone)) {
		h.Errorf("sent: %+v", row.Progress)
	}
}

// testMoveMessages: waiting messages go to their original audience; a subscriber
// of both sites gets at most one of each site's, and at least one.
func testMoveMessages(h *harness) {
	h.put(siteB, 50) // so that ids differ
	for n := 1; n <= 5; n++ {
		h.put(siteA, n)
	}
	h.put(siteB, 3) // at both
	m := message(siteA, 1)
	m.SendAt = epoch.Add(time.Hour)
	h.create(m)
	paused := message(siteA, 2)
	h.create(paused)
	h.control(siteA, 2, pushsvc.CommandPause, epoch)
	test := message(siteA, 3)
	test.Only = 4
	h.create(test)
	h.control(siteA, 3, pushsvc.CommandHold, epoch)
	h.move(siteA, siteB, 1)
	h.put(siteB, 60) // later
	if m := h.message(siteB, 1); m.State != pushsvc.StateScheduled || m.Site != siteB {
		h.Errorf("scheduled: %+v", m)
	}
	h.idle(siteB, 1, epoch)
	sent := func(n int, at time.Time) (who []string) {
		h.Helper()
		r := h.claim(siteB, n, at)
		page, err := h.RangePage(h.Context(), r, 0, 100)
		if err != nil {
			h.Fatal(err)
		}
		for _, s := range page {
			who = append(who, s.Endpoint)
		}
		h.finish(r, at, pushsvc.OutcomeAccepted)
		slices.Sort(who)
		return who
	}
	all := []string{endpoint(1), endpoint(2), endpoint(3), endpoint(4), endpoint(5)}
	h.same("scheduled", sent(1, epoch.Add(2*time.Hour)), all)
	h.control(siteB, 2, pushsvc.CommandResume, epoch)
	h.same("paused", sent(2, epoch), all)
	h.control(siteB, 3, pushsvc.CommandResume, epoch)
	h.same("to one", sent(3, epoch), []string{endpoint(4)})

	// If both sites have waiting messages, a subscriber of both gets that of the
	// remaining site.
	h.put("c.example", 3)
	h.put("c.example", 70)
	h.create(message("c.example", 11))
	h.create(message(siteB, 12))
	h.move("c.example", siteB, 10)
	h.same("of the one that came", sent(11, epoch), []string{endpoint(70)})
	if who := sent(12, epoch); !slices.Contains(who, endpoint(3)) || slices.Contains(who, endpoint(70)) {
		h.Errorf("of the one that stayed: %v", who)
	}
}
