package storetest

import (
	"cmp"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var replaceTests = []test{
	{"replaces takes the place of the proven one", testReplaces},
	{"replaces in the middle of a message", testReplacesMeanwhile},
	{"replaces without proof removes nothing", testReplacesUnproven},
	{"replaces by a known one keeps the older date", testReplacesKnown},
	{"replaces itself with new keys", testReplacesItself},
}

func testReplaces(h *harness) {
	old := h.put(siteA, 1)
	h.put(siteA, 2)
	next := sub(siteA, 3)
	got := h.putSub(next, proof(1))
	want := next
	want.ID, want.Created = old.ID, old.Created
	h.same("row returned", got, want)
	again := h.putSub(next, proof(1)) // the proof no longer holds a subscription
	h.same("repeated", again, got)
	rows := h.all(siteA)
	if len(rows) != 2 || rows[0].Endpoint != endpoint(3) || rows[1].Endpoint != endpoint(2) {
		h.Errorf("%d rows are left, want the third in the place of the first, and the second", len(rows))
	}
	if n := h.count(siteA); n != 2 {
		h.Errorf("the site counts %d, want 2", n)
	}
	if ok, err := h.DeleteProven(h.Context(), siteA, *proof(1)); ok || err != nil {
		h.Errorf("the replaced one is still there: %v, %v", ok, err)
	}
	if after := h.put(siteA, 4); after.ID <= rows[1].ID {
		h.Errorf("the next one has id %d, not above %d", after.ID, rows[1].ID)
	}
}

// testReplacesMeanwhile: a visitor who subscribes again during a message is the
// same recipient, whether before their turn, after it, or between two attempts.
func testReplacesMeanwhile(h *harness) {
	rows := h.putAll(siteA, 3)
	slices.SortFunc(rows, func(a, b pushsvc.Subscription) int { return cmp.Compare(a.ID, b.ID) })
	h.create(message(siteA, 1))
	at := epoch.Add(time.Minute)
	r := h.claim(siteA, 1, at)
	c := on(r, at, outcomes(pushsvc.OutcomeAccepted, rows[:1])...)
	c.Outcomes = append(c.Outcomes, outcomes(pushsvc.OutcomeLater, rows[1:2])...)
	c.Outcomes[1].Due, c.Cursor = at, rows[1].ID
	h.checkpoint(c)
	for i, row := range rows {
		h.putSub(sub(siteA, 11+i), &pushsvc.Proof{Endpoint: row.Endpoint, Auth: row.Auth})
	}
	page, err := h.RangePage(h.Context(), r, rows[1].ID, 10)
	if err != nil || len(page) != 1 || page[0].ID != rows[2].ID || page[0].Endpoint != endpoint(13) {
		h.Errorf("recipients ahead: %+v, %v", page, err)
	}
	later, err := h.laterAt(siteA, messageID(1), at, 10)
	if err != nil || len(later) != 1 || later[0].ID != rows[1].ID || later[0].Subscription.Endpoint != endpoint(12) {
		h.Errorf("due retries: %+v, %v", later, err)
	}
}

func testReplacesUnproven(h *harness) {
	h.put(siteA, 1)
	h.put(siteB, 5)
	for i, p := range []*pushsvc.Proof{
		{Endpoint: endpoint(1), Auth: auth(2)},
		{Endpoint: endpoint(1)},
		{Endpoint: endpoint(4), Auth: auth(4)},
		proof(5), // of another site
		{},
	} {
		s := sub(siteA, 10+i)
		if got := h.putSub(s, p); !got.Created.Equal(s.Created) {
			h.Errorf("proof %d: created %v, want its own date", i, got.Created)
		}
	}
	if n := h.count(siteA); n != 6 {
		h.Errorf("the site counts %d, want 6", n)
	}
	if n := h.count(siteB); n != 1 {
		h.Errorf("the other site counts %d, want 1", n)
	}
}

func testReplacesKnown(h *harness) {
	older := h.put(siteA, 1)
	known := h.put(siteA, 2)
	newer := h.put(siteA, 3)
	got := h.putSub(sub(siteA, 2), proof(3))
	if got.ID != known.ID || !got.Created.Equal(known.Created) {
		h.Errorf("replacing a newer one: id %d, created %v; want %d, %v", got.ID, got.Created, known.ID, known.Created)
	}
	got = h.putSub(sub(siteA, 2), proof(1))
	if got.ID != known.ID || !got.Created.Equal(older.Created) {
		h.Errorf("replacing an older one: id %d, created %v; want %d, %v", got.ID, got.Created, known.ID, older.Created)
	}
	if rows := h.all(siteA); len(rows) != 1 || rows[0].ID == newer.ID {
		h.Errorf("%d rows are left, want the second", len(rows))
	}
	// Its own proof changes nothing: a plain refresh.
	again := sub(siteA, 2)
	again.Seen = epoch.Add(time.Hour)
	if got := h.putSub(again, proof(2)); got.ID != known.ID || !got.Created.Equal(older.Created) || h.count(siteA) != 1 {
		h.Errorf("replacing itself: id %d, created %v", got.ID, got.Created)
	}
}

// testReplacesItself: the old auth secret proves that the sender of new keys for
// the endpoint is its owner.
func testReplacesItself(h *harness) {
	old := h.put(siteA, 1)
	next := sub(siteA, 1)
	next.Auth = auth(2)
	next.P256DH[7] ^= 0xff
	got := h.putSub(next, proof(1))
	if got.Auth != next.Auth || got.P256DH != next.P256DH || !got.Created.Equal(old.Created) || got.ID != old.ID {
		h.Error("the new keys were not taken, or the date or id was lost")
	}
	if n := h.count(siteA); n != 1 {
		h.Errorf("the site counts %d, want 1", n)
	}
	h.same("rows", h.all(siteA), []pushsvc.Subscription{got})
}
