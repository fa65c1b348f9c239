package storetest

import (
	"bytes"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

var siteTests = []test{
	{"site/all of it is removed", testSiteRemoved},
	{"site/a removed one begins again", testSiteAgain},
	{"site/room is given back in pieces", testSiteRoom},
	{"site/people are erased as they were seen", testErasePeople},
}

// fillSite adds a row of every kind to a site.
func (h *harness) fillSite(site string) {
	h.Helper()
	for n := range 3 {
		s := sub(site, n)
		s.Device = device(n)
		h.putSub(s, nil)
		h.trackBatch(site, people.Batch{Device: device(n), ID: batchID(n), At: epoch, Entries: []people.Entry{
			login(fmt.Sprint("ann", n)), event("E", epoch), popupEntry(people.ActViewed, epoch),
		}})
	}
	for n := 1; n <= 2; n++ {
		m := message(site, n)
		if _, _, err := h.CreateMessage(h.Context(), m, pushsvc.Idempotency{Key: m.ID, Expires: epoch.Add(time.Hour)}); err != nil {
			h.Fatal(err)
		}
	}
	_, r, err := h.claimAt(site, messageID(1), "engine", epoch, epoch.Add(time.Minute))
	if err != nil {
		h.Fatal(err)
	}
	if err := h.Note(h.Context(), r, []pushsvc.Outcome{{ID: 1, Kind: pushsvc.OutcomeAccepted}}); err != nil {
		h.Fatal(err)
	}
	if _, err := h.AddReceipts(h.Context(), site, messageID(1), []pushsvc.Receipt{{Subscription: 1, Kind: pushsvc.ReceiptShown}}); err != nil {
		h.Fatal(err)
	}
	h.putSetting(setting(site, "prompt", fmt.Sprintf(`{"of":%q}`, site)), 0)
	h.putPopup(storedPopup(site, "sale", "Sale"), 0)
	if _, err := h.PutUpload(h.Context(), upload(site, "a.png", string(bytes.Repeat([]byte{7}, 300_000)))); err != nil {
		h.Fatal(err)
	}
}

// traces returns the numbers of a site's rows, by kind.
func (h *harness) traces(site string) map[string]int {
	h.Helper()
	ctx, n := h.Context(), map[string]int{}
	count := func(kind string, some int, err error) {
		if err != nil {
			h.Fatalf("%s of %s: %v", kind, site, err)
		}
		if some > 0 {
			n[kind] = some
		}
	}
	subs, err := h.SubscriptionPage(ctx, site, 0, 100)
	count("subscriptions", len(subs), err)
	messages, err := h.MessagePage(ctx, site, "", 100)
	count("messages", len(messages), err)
	profiles, err := h.ProfilePage(ctx, site, "", 100)
	count("profiles", len(profiles), err)
	events, err := h.EventSummary(ctx, site)
	count("events", len(events), err)
	stats, err := h.PopupStats(ctx, site, "sale", time.Time{}, time.Time{})
	count("counters", len(stats), err)
	popups, err := h.Popups(ctx, site)
	count("pop-ups", len(popups), err)
	uploads, err := h.Uploads(ctx, site)
	count("uploads", len(uploads), err)
	settings, err := h.Settings(ctx, "prompt")
	count("all settings", 0, err)
	for _, s := range settings {
		if s.Site == site {
			n["settings"]++
		}
	}
	unfinished, err := h.unfinishedAt(epoch.Add(time.Hour), "", 100)
	count("all unfinished", 0, err)
	for _, m := range unfinished {
		if m.Site == site {
			n["unfinished"]++
		}
	}
	lists := map[string]bool{}
	sites, err := h.Sites(ctx)
	count("all sites", 0, err)
	for _, s := range sites {
		lists[s.Site] = true
	}
	people, err := h.PeopleSites(ctx)
	count("all sites", 0, err)
	for _, s := range people {
		lists[s.Site] = true
	}
	named, err := h.PopupSites(ctx)
	count("all sites", 0, err)
	for _, s := range named {
		lists[s] = true
	}
	if lists[site] {
		n["lists"]++
	}
	return n
}

func testSiteRemoved(h *harness) {
	h.is("of no site", h.RemoveSite(h.Context(), siteA), pushsvc.ErrNotFound)
	h.fillSite(siteA)
	h.fillSite(siteB)
	other := h.traces(siteB)
	if got := h.traces(siteA); len(got) < 10 {
		h.Fatalf("before: %v", got)
	}
	if err := h.RemoveSite(h.Context(), siteA); err != nil {
		h.Fatal(err)
	}
	for range 2 { // before and after the rows are gone
		h.same("what is left", h.traces(siteA), map[string]int{})
		h.same("another site", h.traces(siteB), other)
		h.is("removing again", h.RemoveSite(h.Context(), siteA), pushsvc.ErrNotFound)
		_, err := h.Site(h.Context(), siteA)
		h.is("the site", err, pushsvc.ErrNotFound)
		_, err = h.Setting(h.Context(), siteA, "prompt")
		h.is("the setting", err, pushsvc.ErrNotFound)
		_, err = h.PersonBy(h.Context(), siteA, login("ann1").Identities[0])
		h.is("an identity", err, pushsvc.ErrNotFound)
		_, _, err = h.checkpointAt(pushsvc.Checkpoint{Site: siteA, MessageID: messageID(1), Epoch: 1, At: epoch})
		h.is("a checkpoint of its message", err, pushsvc.ErrNotFound)
		h.sweep(1000)
	}
	h.same("another site's person", h.people(siteB).Profiles, int64(3))
}

// sweep frees all room, and returns the number of pieces.
func (h *harness) sweep(limit int) (pieces int) {
	h.Helper()
	for {
		n, err := h.Sweep(h.Context(), limit)
		if err != nil {
			h.Fatal(err)
		}
		if n > limit {
			h.Errorf("%d rows in a piece of %d", n, limit)
		}
		if n == 0 {
			return pieces
		}
		pieces++
	}
}

// testSiteAgain: rows that come back are new, and old data has no effect on them.
func testSiteAgain(h *harness) {
	h.fillSite(siteA)
	last := h.setting(siteA, "prompt").Revision
	h.putSetting(setting(siteA, "prompt", `{"later":1}`), last)
	for range 3 {
		before, popups := h.setting(siteA, "prompt").Revision, h.popups(siteA)[0].Revision
		if err := h.RemoveSite(h.Context(), siteA); err != nil {
			h.Fatal(err)
		}
		if f := h.facts(1); f.Profile != nil || f.Subscribed {
			h.Errorf("a device is known: %+v", f)
		}
		h.fillSite(siteA)
		if now := h.setting(siteA, "prompt").Revision; now <= before {
			h.Errorf("a setting's revision is %d, and was %d before", now, before)
		}
		if now := h.popups(siteA)[0].Revision; now <= popups {
			h.Errorf("a pop-up's revision is %d, and was %d before", now, popups)
		}
	}
	h.same("subscriptions", h.count(siteA), int64(3))
	h.same("rows", len(h.all(siteA)), 3)
	h.same("numbers", h.people(siteA), people.Counts{Profiles: 3, EventNames: 1})
	h.same("a count", h.profile(1).Events["E"].Count, int64(1))
	h.put(siteA, 1) // is known
	h.same("subscriptions", h.count(siteA), int64(3))
	if gone, err := h.DeleteProven(h.Context(), siteA, *proof(1)); err != nil || !gone {
		h.Errorf("a subscription of the new site: %v, %v", gone, err)
	}
}

func testSiteRoom(h *harness) {
	h.put(siteB, 1)
	empty, err := h.Used(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	h.putAll(siteA, 2000)
	h.fillSite(siteA)
	full, err := h.Used(h.Context())
	if err != nil || full-empty < 300_000 {
		h.Fatalf("%d bytes, then %d: %v", empty, full, err)
	}
	if err := h.RemoveSite(h.Context(), siteA); err != nil {
		h.Fatal(err)
	}
	if n, err := h.Sweep(h.Context(), 0); n != 0 || err != nil {
		h.Errorf("no rows: %d, %v", n, err)
	}
	if pieces := h.sweep(100); pieces == 1 {
		h.Error("2,000 rows are one piece")
	}
	h.put(siteB, 2)
	h.put(siteB, 3) // a store may count a page as free one commit later
	if after, err := h.Used(h.Context()); err != nil || after-empty > (full-empty)/4 {
		h.Errorf("%d bytes, with the site %d, without it %d: %v", empty, full, after, err)
	}
	h.same("another site", h.count(siteB), int64(3))
}

func testErasePeople(h *harness) {
	s := sub(siteA, 1)
	s.Device = device(1)
	h.putSub(s, nil)
	for n := range 4 {
		h.track(n, login(fmt.Sprint("ann", n)), event("E", epoch))
	}
	seen := func(n int) pushsvc.PersonSeen { p := h.profile(n); return pushsvc.PersonSeen{ID: p.ID, Seen: p.Seen} }
	all := []pushsvc.PersonSeen{seen(1), seen(2), {ID: people.NewProfileID(epoch), Seen: epoch}, seen(3)}
	h.trackBatch(siteA, people.Batch{Device: device(2), At: epoch.Add(time.Minute), Entries: []people.Entry{event("E", epoch)}})
	for i, want := range []int{2, 0} {
		if n, err := h.ErasePeople(h.Context(), siteA, all); n != want || err != nil {
			h.Errorf("time %d: %d, %v", i, n, err)
		}
	}
	if n, err := h.ErasePeople(h.Context(), siteB, all); n != 0 || err != nil {
		h.Errorf("of another site: %d, %v", n, err)
	}
	h.same("remaining visitors", []bool{h.facts(0).Profile == nil, h.facts(1).Profile == nil, h.facts(2).Profile == nil, h.facts(3).Profile == nil}, []bool{false, true, false, true})
	h.same("subscriptions", h.count(siteA), int64(0))
	h.same("numbers", h.people(siteA), people.Counts{Profiles: 2, EventNames: 1})
}
