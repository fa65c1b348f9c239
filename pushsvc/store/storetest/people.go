package storetest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

var peopleTests = []test{
	{"people/counts events", testPeopleEvents},
	{"people/repeated batch", testPeopleRepeated},
	{"people/attributes", testPeopleAttributes},
	{"people/login keeps what was anonymous", testPeopleLogin},
	{"people/login merges into a known person", testPeopleMerge},
	{"people/another login switches", testPeopleSwitch},
	{"people/logout", testPeopleLogout},
	{"people/opt out", testPeopleOptOut},
	{"people/visits", testPeopleVisits},
	{"people/pop-ups", testPeoplePopups},
	{"people/conversions", testPeopleConversions},
	{"people/conversions after clicks", testPeopleClicks},
	{"people/elements of pop-ups are bounded", testPeopleElements},
	{"people/reports of one device are bounded", testPeopleReports},
	{"people/cost of a batch", testPeopleCost},
	{"people/bounds of one", testPeopleBounds},
	{"people/bounds of a site", testPeopleSiteBounds},
	{"people/strangers", testPeopleStrangers},
	{"people/strangers make room", testPeopleMakeRoom},
	{"people/names of events make room", testPeopleEventNames},
	{"people/subscriptions", testPeopleSubscriptions},
	{"people/erase", testPeopleErase},
	{"people/pages", testPeoplePages},
	{"people/history is pruned", testPeoplePruneHistory},
	{"people/anonymous are pruned", testPeoplePruneAnonymous},
	{"people/hours of pop-ups are folded", testPeopleFoldPopups},
	{"people/sites apart", testPeopleSites},
	{"people/naughty texts", testPeopleNaughty},
	{"people/many at once", testPeopleConcurrent},
	{"people/nothing known", testPeopleNothing},
}

func device(n int) pushsvc.DeviceID { return pushsvc.DeviceID{byte(n), byte(n >> 8), 7} }

// batchID returns the n-th batch's id.
func batchID(n int) string {
	sum := sha256.Sum256([]byte(fmt.Sprint("batch", n)))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func event(name string, at time.Time) people.Entry {
	return people.Entry{Kind: people.EntryEvent, Name: name, Time: at}
}

func login(value string) people.Entry {
	return people.Entry{Kind: people.EntryLogin, Time: epoch, Identities: []people.Identity{{Kind: people.IdentityID, Value: value}}}
}

func popupEntry(act people.Act, at time.Time) people.Entry {
	return people.Entry{Kind: people.EntryPopup, Time: at, Popup: &people.PopupAct{Popup: "sale", Variant: "a", Act: act}}
}

// track stores the n-th device's entries, in a new batch.
func (h *harness) track(n int, entries ...people.Entry) people.Tracked {
	h.Helper()
	return h.trackBatch(siteA, people.Batch{Device: device(n), At: epoch, Entries: entries})
}

func (h *harness) trackBatch(site string, b people.Batch) people.Tracked {
	h.Helper()
	out, err := h.Track(h.Context(), site, b)
	if err != nil {
		h.Fatalf("Track: %v", err)
	}
	return out
}

func (h *harness) facts(n int) people.Facts {
	h.Helper()
	f, err := h.Facts(h.Context(), siteA, device(n))
	if err != nil {
		h.Fatalf("Facts: %v", err)
	}
	return f
}

// profile returns the n-th device's profile, which must exist.
func (h *harness) profile(n int) people.Profile {
	h.Helper()
	f := h.facts(n)
	if f.Profile == nil {
		h.Fatalf("device %d is unknown", n)
	}
	return *f.Profile
}

func (h *harness) person(id string) people.Person {
	h.Helper()
	p, err := h.Person(h.Context(), siteA, id)
	if err != nil {
		h.Fatalf("Person: %v", err)
	}
	return p
}

func (h *harness) people(site string) people.Counts {
	h.Helper()
	all, err := h.PeopleSites(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	for _, s := range all {
		if s.Site == site {
			return s.Counts
		}
	}
	return people.Counts{}
}

// stats returns the counters of the pop-up "sale", by variant, act and element.
func (h *harness) stats() map[string]int64 {
	h.Helper()
	all, err := h.PopupStats(h.Context(), siteA, "sale", time.Time{}, time.Time{})
	if err != nil {
		h.Fatal(err)
	}
	out := map[string]int64{}
	for _, c := range all {
		out[fmt.Sprintf("%s %s%s", c.Variant, c.Act, c.Element)] += c.Count
	}
	return out
}

func testPeopleEvents(h *harness) {
	later := epoch.Add(time.Hour)
	h.track(1, event("Viewed", epoch), people.Entry{Kind: people.EntryEvent, Name: "Charged", Time: epoch, Props: map[string]any{"Amount": 12.5, "Items": []any{map[string]any{"n": "a"}}}})
	h.track(1, event("Viewed", later))
	h.track(2, event("Viewed", epoch.Add(-time.Hour)))
	p := h.profile(1)
	h.same("counts", p.Events, map[string]people.EventCount{
		"Viewed": {Count: 2, First: epoch, Last: later}, "Charged": {Count: 1, First: epoch, Last: epoch},
	})
	h.same("history", h.person(p.ID).History, []people.EventRecord{
		{Name: "Viewed", Time: epoch},
		{Name: "Charged", Time: epoch, Props: map[string]any{"Amount": 12.5, "Items": []any{map[string]any{"n": "a"}}}},
		{Name: "Viewed", Time: later},
	})
	sum, err := h.EventSummary(h.Context(), siteA)
	if err != nil {
		h.Fatal(err)
	}
	h.same("summary", sum, []people.EventSummary{
		{Name: "Charged", EventCount: people.EventCount{Count: 1, First: epoch, Last: epoch}},
		{Name: "Viewed", EventCount: people.EventCount{Count: 3, First: epoch.Add(-time.Hour), Last: later}},
	})
	h.same("numbers", h.people(siteA), people.Counts{Profiles: 2, Anonymous: 2, EventNames: 2})
}

func testPeopleRepeated(h *harness) {
	send := func(n int) bool {
		b := people.Batch{Device: device(1), ID: batchID(n), At: epoch.Add(time.Duration(n) * time.Minute), Entries: []people.Entry{
			event("E", epoch), popupEntry(people.ActViewed, epoch), login("me"),
		}}
		return h.trackBatch(siteA, b).Repeated
	}
	for n := range people.MaxDeviceBatches {
		if send(n) {
			h.Fatalf("batch %d is taken for a repetition", n)
		}
	}
	for n := range people.MaxDeviceBatches {
		if !send(n) {
			h.Fatalf("batch %d is no longer known", n)
		}
	}
	const times = people.MaxDeviceBatches
	p := h.profile(1)
	h.same("event", p.Events["E"].Count, int64(times))
	h.same("views", p.Popups["sale"].Viewed, int64(times))
	h.same("stats", h.stats(), map[string]int64{"a viewed": times})
	// Another device's batch with the same id is a different batch.
	if h.trackBatch(siteA, people.Batch{Device: device(2), ID: batchID(0), At: epoch, Entries: []people.Entry{event("E", epoch)}}).Repeated {
		h.Error("another device's batch is taken for a repetition")
	}
	// The device keeps its batches when it changes to another person.
	out := people.Batch{Device: device(1), ID: batchID(1000), At: epoch, Entries: []people.Entry{{Kind: people.EntryLogout, Time: epoch}}}
	h.trackBatch(siteA, out)
	if !h.trackBatch(siteA, out).Repeated || !send(times-1) {
		h.Error("after a logout, a repeated batch is new")
	}
}

func testPeopleAttributes(h *harness) {
	set := func(set map[string]any, ops ...people.Op) map[string]any {
		h.track(1, people.Entry{Kind: people.EntryProfile, Time: epoch, Set: set, Ops: ops})
		return h.profile(1).Attributes
	}
	h.same("set", set(map[string]any{"Name": "Ann", "Age": 33.0, "A": []any{map[string]any{"b": 1.0}}}),
		map[string]any{"Name": "Ann", "Age": 33.0, "A": []any{map[string]any{"b": 1.0}}})
	h.same("change", set(map[string]any{"Name": nil, "Plan": "pro"},
		people.Op{Kind: people.OpIncrement, Key: "A[0].b", Value: 4.0},
		people.Op{Kind: people.OpDecrement, Key: "Age", Value: 3.0},
		people.Op{Kind: people.OpAdd, Key: "tags", Value: []any{"x", "y", "x"}},
	), map[string]any{"Age": 30.0, "Plan": "pro", "A": []any{map[string]any{"b": 5.0}}, "tags": []any{"x", "y"}})
	h.same("lists", set(nil,
		people.Op{Kind: people.OpRemove, Key: "tags", Value: "x"}, people.Op{Kind: people.OpDelete, Key: "Plan"},
	), map[string]any{"Age": 30.0, "A": []any{map[string]any{"b": 5.0}}, "tags": []any{"y"}})
}

func testPeopleVisits(h *harness) {
	first := &people.Visit{Page: "/a", Referrer: "https://x.example", UTM: map[string]string{"source": "x"}}
	second := &people.Visit{Page: "/b"}
	h.track(1, people.Entry{Kind: people.EntryVisit, Time: epoch, Visit: first})
	h.track(1, people.Entry{Kind: people.EntryVisit, Time: epoch.Add(time.Hour), Visit: second})
	p := h.profile(1)
	h.same("visits", []any{p.Visits, p.PreviousVisit, p.LastVisit, p.FirstSource, p.LastSource}, []any{int64(2), epoch, epoch.Add(time.Hour), first, second})
}

func testPeoplePopups(h *harness) {
	next := epoch.Add(time.Hour)
	view := func(session string, at time.Time) {
		h.trackBatch(siteA, people.Batch{Device: device(1), At: at, Session: session, Entries: []people.Entry{popupEntry(people.ActViewed, at)}})
	}
	view("s1", epoch)
	view("s2", next)
	h.track(1, popupEntry(people.ActClicked, next), popupEntry(people.ActClosed, next), popupEntry(people.ActSubmitted, next), popupEntry(people.ActControl, next))
	p := h.profile(1)
	h.same("counts", p.Popups["sale"], people.PopupCount{Viewed: 2, Clicked: 1, Closed: 1, Kept: 1, Last: next})
	h.same("caps of the control group", []int{p.KeptSince("sale", next), p.KeptSince("sale", next.Add(time.Minute)), p.KeptSince("other", epoch), p.KeptIn("s1", "sale"), p.KeptIn("", "sale")}, []int{1, 0, 0, 0, 0})
	h.same("caps", []int{p.ViewsSince("sale", epoch), p.ViewsSince("", next), p.ViewsSince("other", epoch), p.ViewsIn("s1", ""), p.ViewsIn("", "")}, []int{2, 1, 0, 1, 0})
	all, err := h.PopupStats(h.Context(), siteA, "sale", next, next.Add(time.Hour))
	if err != nil {
		h.Fatal(err)
	}
	got := map[people.Act]int64{}
	for _, c := range all {
		got[c.Act] += c.Count
		h.same("hour", c.Hour, next)
	}
	h.same("one hour", got, map[people.Act]int64{"viewed": 1, "clicked": 1, "closed": 1, "submitted": 1, "control": 1})
	if all, err = h.PopupStats(h.Context(), siteA, "sale", next.Add(time.Minute), time.Time{}); err != nil || len(all) != 0 {
		h.Errorf("after the last hour: %v, %v", all, err)
	}
	if all, err = h.PopupStats(h.Context(), siteA, "sal", time.Time{}, time.Time{}); err != nil || len(all) != 0 {
		h.Errorf("a pop-up whose name is the beginning of another's: %v, %v", all, err)
	}
	old := time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC)
	if all, err = h.PopupStats(h.Context(), siteA, "sale", old, time.Time{}); err != nil || len(all) != 6 {
		h.Errorf("from 1960 on: %v, %v", all, err)
	}
	if all, err = h.PopupStats(h.Context(), siteA, "sale", old, old.AddDate(1, 0, 0)); err != nil || len(all) != 0 {
		h.Errorf("in 1960: %v, %v", all, err)
	}
	view("s3", epoch.Add(9*24*time.Hour))
	if p := h.profile(1); p.ViewsSince("", epoch) != 1 || p.Popups["sale"].Viewed != 3 {
		h.Errorf("after nine days %d views are in sight, %d ever", p.ViewsSince("", epoch), p.Popups["sale"].Viewed)
	}
}

func testPeopleConversions(h *harness) {
	send := func(n int, entries ...people.Entry) {
		h.trackBatch(siteA, people.Batch{
			Device: device(n), At: epoch, Entries: entries,
			Conversions: []people.Conversion{{Popup: "sale", Event: "Charged", Within: time.Hour}},
		})
	}
	send(1, popupEntry(people.ActViewed, epoch))
	send(1, event("Charged", epoch.Add(time.Minute)), event("Charged", epoch.Add(2*time.Minute)), event("Other", epoch))
	send(2, popupEntry(people.ActViewed, epoch), event("Charged", epoch.Add(2*time.Hour)))
	send(3, event("Charged", epoch), popupEntry(people.ActViewed, epoch.Add(time.Minute)))
	send(4, popupEntry(people.ActControl, epoch), event("Charged", epoch.Add(time.Hour)))
	h.same("stats", h.stats(), map[string]int64{"a viewed": 3, "a control": 1, "a converted": 1, "control converted": 1})
}

// testPeopleClicks: the window also starts at the last click, and a click before
// the report of the view counts as seen. Each view converts once.
func testPeopleClicks(h *harness) {
	at := func(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * time.Minute) }
	send := func(n int, entries ...people.Entry) {
		for _, e := range entries {
			h.trackBatch(siteA, people.Batch{
				Device: device(n), At: e.Time, Entries: []people.Entry{e}, Session: batchID(n),
				Conversions: []people.Conversion{{Popup: "sale", Event: "Charged", Within: time.Hour}, {Popup: "long", Event: "Late", Within: popup.MaxConversion}},
			})
		}
	}
	converted := func() int64 { return h.stats()["a converted"] }
	send(1, popupEntry(people.ActViewed, at(0)), popupEntry(people.ActClicked, at(50)), event("Charged", at(100)), event("Charged", at(101)))
	h.same("after a click", converted(), int64(1))
	send(1, popupEntry(people.ActClicked, at(102)), event("Charged", at(103)))
	h.same("a second click on what has converted", converted(), int64(1))
	send(1, popupEntry(people.ActViewed, at(110)), event("Charged", at(111)))
	h.same("after the next view", converted(), int64(2))
	send(2, popupEntry(people.ActClicked, at(0)), event("Charged", at(30)))
	h.same("after a click without a view", converted(), int64(3))
	if p := h.profile(2); p.ViewsSince("", epoch) != 0 || p.ViewsIn(batchID(2), "") != 0 || p.Popups["sale"].Viewed != 0 {
		h.Errorf("a click counts as a view: %+v", p)
	}
	send(2, popupEntry(people.ActViewed, at(1)), event("Charged", at(31)))
	h.same("the view comes after its click", converted(), int64(3))
	if p := h.profile(2); p.ViewsSince("", epoch) != 1 || p.ViewsIn(batchID(2), "") != 1 || len(p.Shown) != 1 {
		h.Errorf("the view after its click: %+v", p)
	}
	send(3, popupEntry(people.ActClicked, at(0)), event("Charged", at(61)))
	send(4, popupEntry(people.ActSubmitted, at(0)), event("Charged", at(1)))
	h.same("too late after a click; in time after an answer", converted(), int64(4))
	view := popupEntry(people.ActViewed, at(0))
	view.Popup.Popup = "long"
	send(5, view, event("Other", at(20*24*60)), event("Late", at(80*24*60)))
	all, err := h.PopupStats(h.Context(), siteA, "long", time.Time{}, time.Time{})
	if err != nil || len(all) != 2 || all[1].Act != people.ActConverted {
		h.Errorf("eighty days after the view: %+v, %v", all, err)
	}
}

func testPeopleElements(h *harness) {
	for n := range 700 {
		e := popupEntry(people.ActClicked, epoch)
		e.Popup.Element = fmt.Sprintf("#%d", n)
		h.track(n/50+1, e)
	}
	got, sum := h.stats(), int64(0)
	for _, n := range got {
		sum += n
	}
	if sum != 700 || len(got) > 501 || got["a clicked"] < 199 {
		h.Errorf("%d elements with %d clicks in all, %d of them on no element", len(got), sum, got["a clicked"])
	}
}

func testPeopleSites(h *harness) {
	h.track(1, login("ann"), event("E", epoch), popupEntry(people.ActViewed, epoch))
	id := h.profile(1).ID
	f, err := h.Facts(h.Context(), siteB, device(1))
	if err != nil || f.Profile != nil {
		h.Errorf("another site's facts: %+v, %v", f, err)
	}
	_, err = h.Person(h.Context(), siteB, id)
	h.is("another site's profile", err, pushsvc.ErrNotFound)
	h.is("erasing another site's profile", h.ErasePerson(h.Context(), siteB, id), pushsvc.ErrNotFound)
	h.trackBatch(siteB, people.Batch{Device: device(1), At: epoch, Entries: []people.Entry{login("ann"), event("F", epoch)}})
	_, err = h.Person(h.Context(), siteB, id)
	h.is("another site's profile, once it has people", err, pushsvc.ErrNotFound)
	h.same("this site's events", len(h.profile(1).Events), 1)
	all, err := h.PeopleSites(h.Context())
	if err != nil || len(all) != 2 || all[0].Site != siteA || all[1].Site != siteB {
		h.Errorf("sites: %+v, %v", all, err)
	}
	// A site with only visitors is not in the list of sites with subscriptions.
	_, err = h.Site(h.Context(), siteA)
	h.is("a site without subscriptions", err, pushsvc.ErrNotFound)
}

func testPeopleNaughty(h *harness) {
	for n, text := range Naughty() {
		e := login(text)
		e.Set = map[string]any{text: text}
		h.track(n+1, e, people.Entry{Kind: people.EntryEvent, Name: text, Time: epoch, Props: map[string]any{text: text}},
			people.Entry{Kind: people.EntryVisit, Time: epoch, Visit: &people.Visit{Page: text, Referrer: text}})
		p, err := h.PersonBy(h.Context(), siteA, e.Identities[0])
		if err != nil || p.Attributes[text] != text || p.Events[text].Count != 1 || p.LastSource.Page != text {
			h.Errorf("%q: %+v, %v", text, p, err)
			continue
		}
		if history := h.person(p.ID).History; len(history) != 1 || history[0].Props[text] != text {
			h.Errorf("%q: history %+v", text, history)
		}
	}
	h.same("profiles", h.people(siteA).Profiles, int64(len(Naughty())))
}

func testPeopleConcurrent(h *harness) {
	h.each(400, func(n int) error {
		_, err := h.handle(n).Track(h.Context(), siteA, people.Batch{
			Device: device(n % 8), ID: batchID(n / 2), At: epoch, Entries: []people.Entry{event("E", epoch), login(fmt.Sprint(n % 2))},
		})
		return err
	})
	// Each batch was sent by two devices: n and n+1 are of different parity.
	sum, err := h.EventSummary(h.Context(), siteA)
	if err != nil || len(sum) != 1 || sum[0].Count != 400 {
		h.Errorf("summary: %+v, %v", sum, err)
	}
	var all int64
	page, err := h.ProfilePage(h.Context(), siteA, "", 100)
	for _, p := range page {
		all += p.Events["E"].Count
	}
	if err != nil || len(page) != 2 || all != 400 {
		h.Errorf("%d profiles with %d events, %v", len(page), all, err)
	}
}

func testPeopleNothing(h *harness) {
	ctx := h.Context()
	if f, err := h.Facts(ctx, siteA, device(1)); err != nil || f.Profile != nil || f.Subscribed {
		h.Errorf("facts: %+v, %v", f, err)
	}
	for _, id := range []string{"", "x", "01935a00-0000-7000-8000-000000000000"} {
		_, err := h.Person(ctx, siteA, id)
		h.is("Person "+id, err, pushsvc.ErrNotFound)
		h.is("ErasePerson "+id, h.ErasePerson(ctx, siteA, id), pushsvc.ErrNotFound)
	}
	_, err := h.PersonBy(ctx, siteA, people.Identity{Kind: people.IdentityID, Value: "x"})
	h.is("PersonBy", err, pushsvc.ErrNotFound)
	page, err1 := h.ProfilePage(ctx, siteA, "", 10)
	sum, err2 := h.EventSummary(ctx, siteA)
	stats, err3 := h.PopupStats(ctx, siteA, "x", epoch, epoch)
	n, err4 := h.PruneHistory(ctx, siteA, epoch, 10)
	folded, err7 := h.FoldPopups(ctx, siteA, epoch, 10)
	next, m, err5 := h.PruneAnonymous(ctx, siteA, "", epoch, 10)
	sites, err6 := h.PeopleSites(ctx)
	for _, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
		h.is("of nothing", err, nil)
	}
	if len(page)+len(sum)+len(stats)+n+m+folded+len(sites)+len(next) != 0 {
		h.Error("something is there")
	}
	if _, err := h.Track(ctx, "", people.Batch{Device: device(1), At: epoch}); err == nil {
		h.Error("a site without a name is taken")
	}
}
