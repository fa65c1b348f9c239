package storetest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var subscriptionTests = []test{
	{"subscription round trip", testSubscriptionRoundTrip},
	{"subscription upsert is idempotent", testUpsert},
	{"subscription re-key is refused", testReKey},
	{"subscription delete by id", testDelete},
	{"subscription delete by proof", testDeleteProven},
	{"subscription ids are never used twice", testIDs},
	{"subscription pages", testPages},
	{"subscription pages of 10,000", testManyPages},
	{"subscription texts", testTexts},
	{"subscription times", testTimes},
	{"subscription refusals", testRefusals},
	{"sites", testSites},
	{"sites are isolated", testIsolation},
	{"subscription puts at once", testConcurrentPuts},
}

func testSubscriptionRoundTrip(h *harness) {
	want := sub(siteA, 2)
	got := h.putSub(want, nil)
	if got.ID == 0 {
		h.Fatal("the row has no id")
	}
	want.ID = got.ID
	h.same("row returned", got, want)
	h.same("row read", h.all(siteA), []pushsvc.Subscription{want})
}

func testUpsert(h *harness) {
	first := h.put(siteA, 1)
	again := sub(siteA, 1)
	again.ID = 99999 // ignored
	again.Created = epoch.Add(time.Hour)
	again.Seen = epoch.Add(time.Hour)
	again.Expiration = epoch.Add(48 * time.Hour)
	again.KeyID, again.Language, again.TimeZone, again.Page = "other", "fr", "Europe/Paris", "/"
	again.P256DH[5] ^= 1 // proven by the auth secret
	want := again
	want.ID, want.Created = first.ID, first.Created
	for range 3 {
		h.same("row returned", h.putSub(again, nil), want)
	}
	h.same("rows read", h.all(siteA), []pushsvc.Subscription{want})
	if n := h.count(siteA); n != 1 {
		h.Errorf("the site has %d subscriptions, want 1", n)
	}
}

func testReKey(h *harness) {
	first := h.put(siteA, 1)
	other := h.put(siteA, 2)
	attack := sub(siteA, 1)
	attack.Auth = auth(666)
	attack.P256DH[3] ^= 0xff
	attack.Seen = epoch.Add(time.Hour)
	attack.Page, attack.KeyID = "/attack", "attack"
	h.same("row returned", h.putSub(attack, nil), first)
	// Not even together with a valid proof of another one.
	h.same("row returned", h.putSub(attack, proof(2)), first)
	// Or with a wrong proof of the same one.
	h.same("row returned", h.putSub(attack, &pushsvc.Proof{Endpoint: endpoint(1), Auth: auth(666)}), first)
	h.same("rows read", h.all(siteA), []pushsvc.Subscription{first, other})
}

func testDelete(h *harness) {
	rows := h.putAll(siteA, 3)
	id := rows[1].ID
	if err := h.DeleteSubscription(h.Context(), siteA, id); err != nil {
		h.Fatal(err)
	}
	h.is("deleting it again", h.DeleteSubscription(h.Context(), siteA, id), pushsvc.ErrNotFound)
	h.is("deleting 0", h.DeleteSubscription(h.Context(), siteA, 0), pushsvc.ErrNotFound)
	h.is("deleting from an unknown site", h.DeleteSubscription(h.Context(), siteB, rows[0].ID), pushsvc.ErrNotFound)
	if got := h.all(siteA); len(got) != 2 || slices.ContainsFunc(got, func(s pushsvc.Subscription) bool { return s.ID == id }) {
		h.Errorf("%d rows are left, or the deleted one among them", len(got))
	}
	if n := h.count(siteA); n != 2 {
		h.Errorf("the site counts %d, want 2", n)
	}
}

func sorted(rows []pushsvc.Subscription) []pushsvc.Subscription {
	out := slices.Clone(rows)
	slices.SortFunc(out, func(a, b pushsvc.Subscription) int { return int(int64(a.ID) - int64(b.ID)) })
	return out
}

func testDeleteProven(h *harness) {
	h.putAll(siteA, 2)
	cases := []struct {
		name  string
		site  string
		proof pushsvc.Proof
		want  bool
	}{
		{"wrong auth", siteA, pushsvc.Proof{Endpoint: endpoint(1), Auth: auth(2)}, false},
		{"no auth", siteA, pushsvc.Proof{Endpoint: endpoint(1)}, false},
		{"unknown endpoint", siteA, *proof(3), false},
		{"other site", siteB, *proof(1), false},
		{"right", siteA, *proof(1), true},
		{"right, again", siteA, *proof(1), false},
	}
	for _, c := range cases {
		got, err := h.DeleteProven(h.Context(), c.site, c.proof)
		if err != nil || got != c.want {
			h.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	if got := h.all(siteA); len(got) != 1 || got[0].Endpoint != endpoint(2) {
		h.Errorf("%d rows are left, want the second", len(got))
	}
}

func testIDs(h *harness) {
	var last pushsvc.SubscriptionID
	for n := range 5 {
		row := h.put(siteA, 1) // always the same endpoint
		if row.ID <= last {
			h.Errorf("round %d: id %d comes after %d", n, row.ID, last)
		}
		last = row.ID
		if err := h.DeleteSubscription(h.Context(), siteA, row.ID); err != nil {
			h.Fatal(err)
		}
	}
}

func testPages(h *harness) {
	rows := sorted(h.putAll(siteA, 10))
	h.putAll(siteB, 3)
	for _, c := range []struct {
		name        string
		after       pushsvc.SubscriptionID
		limit, from int
		n           int
	}{
		{"from the start", 0, 4, 0, 4},
		{"after the third", rows[2].ID, 4, 3, 4},
		{"the last", rows[8].ID, 4, 9, 1},
		{"beyond", rows[9].ID, 4, 0, 0},
		{"far beyond", 1 << 62, 4, 0, 0},
		{"at the end of numbers", ^pushsvc.SubscriptionID(0), 4, 0, 0},
		{"limit 0", 0, 0, 0, 0},
		{"limit below 0", 0, -1, 0, 0},
		{"limit beyond", 0, 1000, 0, 10},
	} {
		got, err := h.SubscriptionPage(h.Context(), siteA, c.after, c.limit)
		if err != nil {
			h.Errorf("%s: %v", c.name, err)
		}
		h.same(c.name, got, rows[c.from:c.from+c.n])
	}
	if got, err := h.SubscriptionPage(h.Context(), "c.example", 0, 10); err != nil || len(got) != 0 {
		h.Errorf("an unknown site has %d rows, %v", len(got), err)
	}
}

func testManyPages(h *harness) {
	const n = 10_000
	h.putAll(siteA, n)
	seen := map[string]bool{}
	var after pushsvc.SubscriptionID
	for {
		page, err := h.SubscriptionPage(h.Context(), siteA, after, 333)
		if err != nil {
			h.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, row := range page {
			if row.ID <= after {
				h.Fatalf("id %d comes after %d", row.ID, after)
			}
			after = row.ID
			seen[row.Endpoint] = true
		}
	}
	if len(seen) != n || h.count(siteA) != n {
		h.Errorf("read %d of %d, the site counts %d", len(seen), n, h.count(siteA))
	}
}

func testTexts(h *harness) {
	texts := append(Naughty(), "", strings.Repeat("x", pushsvc.MaxPage))
	for i, text := range texts {
		s := sub(siteA, i+1)
		s.Page, s.Language, s.TimeZone, s.KeyID = text, text, text, text
		s.Endpoint += text
		got := h.putSub(s, nil)
		s.ID = got.ID
		h.same("row of "+text, got, s)
		if again := h.putSub(s, nil); again.ID != s.ID {
			h.Errorf("%q: the endpoint is not found again", text)
		}
	}
	if got := h.all(siteA); len(got) != len(texts) {
		h.Errorf("%d rows, want %d", len(got), len(texts))
	}
}

func testTimes(h *harness) {
	s := sub(siteA, 1)
	s.Created, s.Seen = epoch.Add(999*time.Millisecond), epoch.In(time.FixedZone("", 3600)).Add(time.Second+time.Nanosecond)
	s.Expiration = epoch.Add(1234 * time.Millisecond)
	h.putSub(s, nil)
	got := h.all(siteA)[0]
	if !got.Created.Equal(epoch) || !got.Seen.Equal(epoch.Add(time.Second)) || !got.Expiration.Equal(s.Expiration) {
		h.Errorf("created %v, seen %v, expiration %v", got.Created, got.Seen, got.Expiration)
	}
	s.Expiration = time.Time{}
	if got := h.putSub(s, nil); !got.Expiration.IsZero() {
		h.Errorf("expiration is %v, want none", got.Expiration)
	}
}

func testRefusals(h *harness) {
	none := sub(siteA, 1)
	none.Endpoint = ""
	for name, s := range map[string]pushsvc.Subscription{
		"no site": sub("", 1), "long site": sub(strings.Repeat("x", pushsvc.MaxSiteName+1), 1), "no endpoint": none,
	} {
		if _, err := h.PutSubscription(h.Context(), s, nil); err == nil {
			h.Errorf("%s: stored", name)
		}
	}
	if sites, err := h.Sites(h.Context()); err != nil || len(sites) != 0 {
		h.Errorf("sites %v, %v; want none", sites, err)
	}
}

func testSites(h *harness) {
	if sites, err := h.Sites(h.Context()); err != nil || len(sites) != 0 {
		h.Errorf("an empty store has sites %v, %v", sites, err)
	}
	_, err := h.Site(h.Context(), siteA)
	h.is("unknown site", err, pushsvc.ErrNotFound)
	_, err = h.Site(h.Context(), "")
	h.is("site without a name", err, pushsvc.ErrNotFound)
	h.putAll("b.example:8443", 2)
	h.putAll(siteB, 1)
	h.putAll(siteA, 3)
	h.create(message(siteA, 1))
	if _, err := h.DeleteProven(h.Context(), siteB, *proof(1)); err != nil {
		h.Fatal(err)
	}
	want := []pushsvc.SiteSummary{
		{Site: siteA, Subscriptions: 3, Messages: 1},
		{Site: siteB}, // it had one
		{Site: "b.example:8443", Subscriptions: 2},
	}
	got, err := h.Sites(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	h.same("sites", got, want)
	for _, w := range want {
		got, err := h.Site(h.Context(), w.Site)
		if err != nil {
			h.Fatal(err)
		}
		h.same("site "+w.Site, got, w)
	}
}

// testIsolation calls every method of site B with site A's ids, for pairs of
// names that careless keys confuse.
func testIsolation(h *harness) {
	pairs := [][2]string{{"a", "a:1"}, {"a.example", "a.example:1"}, {"x", "x/"}, {"1", "11"}, {"n", "n\x00"}, {"", "e"}}
	for i, p := range pairs {
		a, b := p[0], p[1]
		if a == "" {
			a = "\x00"
		}
		// Ids above any of site B: they may be numbered per site.
		for n := range 5 {
			h.put(a, 100+n)
		}
		h.put(b, 1)
		rows := h.all(a)
		foreign := rows[len(rows)-1]
		h.create(message(a, 10*i))
		h.claim(a, 10*i, epoch)
		h.foreign(b, foreign, 10*i)
		h.same("rows of "+a, h.all(a), rows)
		if got := h.all(b); len(got) != 1 {
			h.Errorf("site %q has %d rows, want 1", b, len(got))
		}
		if m := h.message(a, 10*i); m.Progress.Shown != 0 || m.State != pushsvc.StateSending || m.Progress.Pending != 5 {
			h.Errorf("the message of %q was changed: %+v", a, m)
		}
	}
}

// foreign tries another site's ids at the site.
func (h *harness) foreign(site string, s pushsvc.Subscription, n int) {
	h.Helper()
	ctx, id := h.Context(), messageID(n)
	h.is("DeleteSubscription", h.DeleteSubscription(ctx, site, s.ID), pushsvc.ErrNotFound)
	if ok, err := h.DeleteProven(ctx, site, pushsvc.Proof{Endpoint: s.Endpoint, Auth: s.Auth}); ok || err != nil {
		h.Errorf("DeleteProven: %v, %v", ok, err)
	}
	own := sub(site, 1)
	h.putSub(own, &pushsvc.Proof{Endpoint: s.Endpoint, Auth: s.Auth})
	_, err := h.Message(ctx, site, id)
	h.is("Message", err, pushsvc.ErrNotFound)
	if page, err := h.MessagePage(ctx, site, "", 10); err != nil || len(page) != 0 {
		h.Errorf("MessagePage: %d, %v", len(page), err)
	}
	_, _, err = h.claimAt(site, id, "thief", epoch.Add(time.Hour), epoch.Add(2*time.Hour))
	h.is("Claim", err, pushsvc.ErrNotFound)
	gone := []pushsvc.Outcome{{ID: s.ID, Kind: pushsvc.OutcomeGone}}
	_, _, err = h.checkpointAt(pushsvc.Checkpoint{Site: site, MessageID: id, Epoch: 1, Outcomes: gone, At: epoch})
	h.is("Checkpoint", err, pushsvc.ErrNotFound)
	if err := h.Note(ctx, pushsvc.Range{Site: site, MessageID: id, Epoch: 1}, gone); err == nil {
		h.Error("Note: noted")
	}
	_, err = h.controlAt(site, id, pushsvc.CommandCancel, epoch)
	h.is("Control", err, pushsvc.ErrNotFound)
	_, err = h.laterAt(site, id, epoch, 9)
	h.is("LaterPage", err, pushsvc.ErrNotFound)
	if page, err := h.RangePage(ctx, pushsvc.Range{Site: site, MessageID: id, Until: s.ID}, s.ID-1, 9); err != nil || len(page) != 0 {
		h.Errorf("RangePage: %d, %v", len(page), err)
	}
	if n, err := h.AddReceipts(ctx, site, id, []pushsvc.Receipt{{Subscription: s.ID, Kind: pushsvc.ReceiptShown}}); n != 0 || err != nil {
		h.Errorf("AddReceipts: %d, %v", n, err)
	}
}

func testConcurrentPuts(h *harness) {
	const sites, each, rounds = 4, 25, 4
	names := []string{siteA, siteB, "c.example", "d.example"}
	h.each(sites*each*rounds, func(i int) error {
		_, err := h.handle(i).PutSubscription(h.Context(), sub(names[i%sites], i/sites%each), nil)
		return err
	})
	for _, name := range names {
		rows := h.all(name)
		if len(rows) != each || h.count(name) != each {
			h.Errorf("%s has %d rows and counts %d, want %d", name, len(rows), h.count(name), each)
		}
	}
	ctx, cancel := context.WithCancel(h.Context())
	cancel()
	_, err := h.PutSubscription(ctx, sub(siteA, 1), nil)
	h.is("put with a context that has ended", err, context.Canceled)
	_, err = h.SubscriptionPage(ctx, siteA, 0, 1)
	h.is("page with a context that has ended", err, context.Canceled)
}
