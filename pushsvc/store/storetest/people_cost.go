package storetest

import (
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// testPeopleReports: a client with a pop-up's token that posts clicks as fast as
// posts are accepted counts as one busy visitor, under any identity.
func testPeopleReports(h *harness) {
	at := epoch
	click := func(entries ...people.Entry) {
		for range 200 {
			entries = append(entries, popupEntry(people.ActClicked, at))
		}
		h.trackBatch(siteA, people.Batch{Device: device(1), At: at, Entries: entries})
	}
	clicks := func() (n int64) {
		for _, count := range h.stats() {
			n += count
		}
		return n
	}
	for n := range 30 {
		click(login(fmt.Sprint("somebody", n)))
	}
	if n := clicks(); n < 10 || n > 60 {
		h.Errorf("6,000 clicks in one moment count as %d", n)
	}
	h.same("refused", h.people(siteA).RefusedReports, 6000-clicks())
	before := clicks()
	at = at.Add(time.Minute)
	click()
	if n := clicks() - before; n < 10 || n > 30 {
		h.Errorf("200 clicks a minute later count as %d", n)
	}
	// A device whose clock was wrong may report again when it is right.
	h.trackBatch(siteA, people.Batch{Device: device(2), At: epoch.AddDate(1, 0, 0), Entries: []people.Entry{popupEntry(people.ActViewed, epoch)}})
	h.track(2, popupEntry(people.ActViewed, epoch))
	h.same("views", h.profile(2).Popups["sale"].Viewed, int64(2))
}

// testPeopleCost: the cost of a batch is limited and returned, whatever its size.
func testPeopleCost(h *harness) {
	small := h.track(1, event("E", epoch))
	if small.Work > 4<<10 {
		h.Errorf("one event is %d of work", small.Work)
	}
	list := make([]any, people.MaxList)
	for i := range list {
		list[i] = make([]any, people.MaxList)
		for j := range people.MaxList {
			list[i].([]any)[j] = float64(i)
		}
	}
	h.track(1, people.Entry{Kind: people.EntryProfile, Time: epoch, Set: map[string]any{"A": list}})
	ops := make([]people.Op, 0, 101)
	for range 100 {
		ops = append(ops, people.Op{Kind: people.OpAdd, Key: "A", Value: 1.0})
	}
	ops = append(ops, people.Op{Kind: people.OpSet, Key: "B", Value: "x"})
	out := h.track(1, people.Entry{Kind: people.EntryProfile, Time: epoch, Ops: ops}, event("Last", epoch))
	p := h.profile(1)
	if p.Attributes["B"] != nil || p.Events["Last"].Count != 0 {
		h.Error("a batch continues beyond its cost limit")
	}
	if got := p.Attributes["A"].([]any); len(got) != people.MaxList || got[people.MaxList-1] != 1.0 {
		h.Error("what came before is not kept")
	}
	if out.Work < 400<<10 || out.Work > 800<<10 {
		h.Errorf("the operations are %d of work", out.Work)
	}
	h.same("refused", h.people(siteA).RefusedEntries, int64(2)) // the rest of the operations, and the event

	var logins []people.Entry
	for n := range 40 {
		logins = append(logins, login(fmt.Sprint("person", n)), event("Seen", epoch))
	}
	h.track(2, logins...)
	if n := h.people(siteA).Profiles; n < 5 || n > 12 {
		h.Errorf("40 logins of one batch made %d profiles", n)
	}
	if h.people(siteA).RefusedEntries < 60 {
		h.Errorf("%+v", h.people(siteA))
	}
	var hours []people.Entry
	for n := range 50 {
		hours = append(hours, popupEntry(people.ActViewed, epoch.Add(time.Duration(-n)*time.Hour)))
	}
	h.track(3, hours...)
	if n := h.stats()["a viewed"]; n < 5 || n > 20 {
		h.Errorf("50 views of as many hours count as %d", n)
	}
}
