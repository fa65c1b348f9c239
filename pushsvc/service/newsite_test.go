package service_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// visits stores an event of the n-th device of a site.
func visits(t *testing.T, to *service.Service, site string, n int) error {
	t.Helper()
	_, err := to.Record(t.Context(), site, service.Sender{Device: device(n)}, service.RecordRequest{
		Batch: randomID(n, to.Clock()), Events: []service.EntryInput{{Report: service.Report{Type: "event"}, Name: "x"}},
	})
	return err
}

// randomID makes a batch's id.
func randomID(n int, at time.Time) string {
	return fmt.Sprintf("AAAA%08d%09dA", n%100_000_000, at.Unix()%1_000_000_000)
}

func made(i int) string { return fmt.Sprintf("made-up-%d.example.com", i) }

func storedSites(t *testing.T, s *service.Service) map[string]bool {
	t.Helper()
	all, err := s.Store.PeopleSites(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, site := range all {
		there[site.Site] = true
	}
	return there
}

// TestEventNames: event names of the configuration and of pop-ups are counted for
// a site that strangers have filled with theirs.
func TestEventNames(t *testing.T) {
	s := newShop(t)
	s.Configured, s.PeopleLimits = sites{shopSite: {}}, people.Limits{EventNames: 5}
	s.put(`{"id": "p", "state": "running", "kind": "box", "content": {"title": "x"}, "when": {"event": "Asked"}, "conversion": {"event": "Charged", "within": "7d"}}`)
	tell := func(n int, name string) {
		t.Helper()
		_, err := s.Record(t.Context(), shopSite, service.Sender{Device: device(n)}, service.RecordRequest{
			Batch: randomID(n, s.now()), Events: []service.EntryInput{{Report: service.Report{Type: "event"}, Name: name}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range 100 {
		if n == 50 {
			tell(1000, "Charged")
			tell(1001, "Asked")
			tell(1002, "Configured")
		}
		tell(n, fmt.Sprint("junk ", n))
	}
	all, err := s.Store.EventSummary(t.Context(), shopSite)
	if err != nil || len(all) != 5 || all[0].Name != "Asked" || all[1].Name != "Charged" || all[2].Name != "Configured" {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestSitesBounded: if a pattern stands for all hosts, strangers can invent host
// names. They can't create any number of sites, and don't block others: sites
// without a returning visitor are removed. Sites that the configuration names,
// that have a returning visitor, or that have operators' data stay.
func TestSitesBounded(t *testing.T) {
	s := newShop(t)
	s.MaxSites, s.Configured = 5, sites{"named.example.com": {}}
	second := func() { s.advance(time.Second) }
	const back, withPopup, named = "back.example.com", "popup.example.com", "named.example.com"
	for _, site := range []string{back, withPopup, named} {
		if err := visits(t, s.Service, site, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.PutPopup(t.Context(), withPopup, popup.Popup{ID: "p", Kind: popup.Box, Content: popup.Content{Title: "x"}}, pushsvc.AnyRevision); err != nil {
		t.Fatal(err)
	}
	s.advance(time.Hour)
	if err := visits(t, s.Service, back, 1); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		second()
		if err := visits(t, s.Service, made(i), i); err != nil {
			t.Fatalf("site %d: %v", i, err)
		}
	}
	there := storedSites(t, s.Service)
	if len(there) > 6 || !there[back] || !there[withPopup] || !there[named] || !there[made(199)] {
		t.Errorf("stored: %v", there)
	}
	again := &service.Service{Store: s.Store, Clock: s.Clock, MaxSites: 5, Configured: s.Configured}
	for i := range 20 {
		second()
		if err := visits(t, again, made(500+i), i); err != nil {
			t.Errorf("after a restart: %v", err)
		}
	}
	if there = storedSites(t, s.Service); len(there) > 6 || !there[back] || !there[withPopup] || !there[named] {
		t.Errorf("stored after a restart: %v", there)
	}
}

// TestSitesFull: if every site has a returning visitor, new sites wait until some
// are idle for long or an operator removes one.
func TestSitesFull(t *testing.T) {
	s := newShop(t)
	s.MaxSites = 3
	for range 2 {
		for i := range 3 {
			if err := visits(t, s.Service, made(i), i); err != nil {
				t.Fatal(err)
			}
		}
		s.advance(time.Hour)
	}
	record := func(site string) error {
		return s.RecordFromProxy(t.Context(), site, people.Batch{Device: device(900), At: s.now(), Entries: []people.Entry{{Kind: people.EntryEvent, Name: "x", Time: s.now()}}})
	}
	for range 3 {
		s.advance(time.Minute)
		if err := visits(t, s.Service, made(7), 7); !errors.Is(err, service.ErrTooManySites) {
			t.Errorf("a fourth: %v", err)
		}
		if err := record(made(8)); !errors.Is(err, service.ErrTooManySites) {
			t.Errorf("the proxy's own: %v", err)
		}
	}
	if strings.Count(s.log.String(), "are not taken") != 1 {
		t.Errorf("told: %s", &s.log)
	}
	if _, err := s.RemoveSite(t.Context(), made(1), false); err != nil {
		t.Fatal(err)
	}
	if err := visits(t, s.Service, made(7), 7); err != nil {
		t.Errorf("after one was removed: %v", err)
	}
	s.advance(31 * 24 * time.Hour)
	if err := visits(t, s.Service, made(2), 2); err != nil {
		t.Fatal(err)
	}
	if err := visits(t, s.Service, made(8), 8); err != nil || !storedSites(t, s.Service)[made(2)] {
		t.Errorf("a month later: %v", err)
	}
}
