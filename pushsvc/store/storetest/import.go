package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var importTests = []test{
	{"import", testImport},
	{"import of what is known", testImportKnown},
	{"import refusals", testImportRefusals},
	{"import at once with puts", testImportRace},
}

func testImport(h *harness) {
	old := h.put(siteA, 1)
	subs := []pushsvc.Subscription{sub(siteB, 3), sub("", 2), sub(siteA, 4), sub(siteA, 2)} // one of them twice
	subs[0].Created, subs[0].Seen = epoch.Add(-time.Hour), epoch.Add(-time.Minute)
	subs[2].Doubted, subs[2].ID = epoch.Add(-time.Second), 12345
	got, err := h.ImportSubscriptions(h.Context(), siteA, subs)
	if err != nil || got != (pushsvc.Imported{Added: 3, Known: 1}) {
		h.Fatalf("%+v, %v", got, err)
	}
	rows := h.all(siteA)
	want := []pushsvc.Subscription{old, subs[0], subs[1], subs[2]}
	for i := range rows {
		want[i].ID, want[i].Site = rows[i].ID, siteA
	}
	h.same("rows", rows, want)
	again, err := h.ImportSubscriptions(h.Context(), siteA, subs)
	if err != nil || again != (pushsvc.Imported{Known: 4}) {
		h.Errorf("again: %+v, %v", again, err)
	}
	h.same("rows after a repetition", h.all(siteA), want)
	if h.count(siteA) != 4 {
		h.Errorf("the site counts %d", h.count(siteA))
	}
	if n, err := h.ImportSubscriptions(h.Context(), "c.example", nil); err != nil || n != (pushsvc.Imported{}) {
		h.Errorf("nothing: %+v, %v", n, err)
	}
	if sites, err := h.Sites(h.Context()); err != nil || len(sites) != 1 {
		h.Errorf("sites %v, %v", sites, err)
	}
	for n := 1; n <= 4; n++ { // each is found by its endpoint
		if ok, err := h.DeleteProven(h.Context(), siteA, *proof(n)); !ok || err != nil {
			h.Errorf("endpoint %d: %v, %v", n, ok, err)
		}
	}
}

func testImportKnown(h *harness) {
	h.putAll(siteA, 5)
	h.create(message(siteA, 1))
	h.finish(h.claim(siteA, 1, epoch), epoch, pushsvc.OutcomeQuarantined)
	rows := h.all(siteA) // doubted now
	n := func(row pushsvc.Subscription) int {
		return slices.IndexFunc([]int{0, 1, 2, 3, 4, 5}, func(n int) bool { return row.Endpoint == endpoint(n) })
	}
	var subs []pushsvc.Subscription
	want := slices.Clone(rows)
	for i, row := range rows {
		s := sub(siteA, n(row))
		s.Page, s.Created = "/imported", epoch.Add(-time.Hour)
		switch i {
		case 0: // other keys
			s.Auth = auth(99)
		case 1: // seen before
			s.Seen = row.Seen.Add(-time.Second)
		case 2: // seen at the same time
			want[i].Page = s.Page
		case 3, 4: // seen later
			s.Seen = row.Seen.Add(time.Second)
			want[i].Page, want[i].Seen, want[i].Doubted = s.Page, s.Seen, time.Time{}
		}
		subs = append(subs, s)
	}
	got, err := h.ImportSubscriptions(h.Context(), siteA, subs)
	if err != nil || got != (pushsvc.Imported{Known: 4, Conflicting: 1}) {
		h.Errorf("%+v, %v", got, err)
	}
	h.same("rows", h.all(siteA), want)
}

func testImportRefusals(h *harness) {
	none := sub(siteA, 2)
	none.Endpoint = ""
	for name, c := range map[string]struct {
		site string
		subs []pushsvc.Subscription
	}{
		"no site":     {"", []pushsvc.Subscription{sub(siteA, 1)}},
		"long site":   {strings.Repeat("x", pushsvc.MaxSiteName+1), []pushsvc.Subscription{sub(siteA, 1)}},
		"no endpoint": {siteA, []pushsvc.Subscription{sub(siteA, 1), none}},
	} {
		if _, err := h.ImportSubscriptions(h.Context(), c.site, c.subs); err == nil {
			h.Errorf("%s: imported", name)
		}
	}
	if sites, err := h.Sites(h.Context()); err != nil || len(sites) != 0 {
		h.Errorf("sites %v, %v; want none", sites, err)
	}
}

func testImportRace(h *harness) {
	const n = 400
	h.each(80, func(i int) error {
		if i%4 == 0 {
			var subs []pushsvc.Subscription
			for k := range n / 2 {
				subs = append(subs, sub(siteA, (i*17+k)%n))
			}
			_, err := h.handle(i).ImportSubscriptions(h.Context(), siteA, subs)
			return err
		}
		_, err := h.handle(i).PutSubscription(h.Context(), sub(siteA, i*31%n), nil)
		return err
	})
	endpoints := map[string]bool{}
	rows := h.all(siteA)
	for _, row := range rows {
		endpoints[row.Endpoint] = true
	}
	if len(endpoints) != len(rows) || h.count(siteA) != int64(len(rows)) {
		h.Errorf("%d rows of %d endpoints, the site counts %d", len(rows), len(endpoints), h.count(siteA))
	}
}
