package service_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// TestRemoveSite: a site in use is refused or forced, and then all of its data is
// gone, also from memory.
func TestRemoveSite(t *testing.T) {
	f := newFixture(t)
	f.withKey(t)
	const site = "old.example.com"
	names := sites{site: {}}
	f.Configured = names
	f.Live = service.NewLive(f.Store, f.Clock, func(err error) { t.Error(err) })
	if _, err := f.RemoveSite(t.Context(), site, true); !errors.Is(err, pushsvc.ErrNotFound) {
		t.Errorf("without stored data: %v", err)
	}
	if _, err := f.Subscribe(t.Context(), site, request(1)); err != nil {
		t.Fatal(err)
	}
	if err := visits(t, f.Service, site, 1); err != nil {
		t.Fatal(err)
	}
	sent, err := f.Send(t.Context(), service.SendRequest{Site: site, Content: pushsvc.Content{Title: "x"}, SendAt: f.now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	p := popup.Popup{ID: "p", State: popup.Running, Kind: popup.Box, Content: popup.Content{Title: "x"}}
	if _, err := f.PutPopup(t.Context(), site, p, pushsvc.AnyRevision); err != nil {
		t.Fatal(err)
	}
	if f.PopupsConfig(t.Context(), site) == nil {
		t.Fatal("the pop-up is not running")
	}
	want := api.SiteContents{Site: site, Subscriptions: 1, Messages: 1, Unfinished: 1, Profiles: 1, EventNames: 1, Popups: 1, Configured: true}
	if got, err := f.SiteContents(t.Context(), "OLD.example.com."); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = f.RemoveSite(t.Context(), site, false)
	var inUse *service.SiteInUseError
	if !errors.As(err, &inUse) || !strings.Contains(err.Error(), "the configuration names it") || !strings.Contains(err.Error(), "one of its messages is not sent yet: cancel it first; or give --force") {
		t.Errorf("in use: %v", err)
	}
	delete(names, site)
	if _, err = f.RemoveSite(t.Context(), site, false); !errors.As(err, &inUse) || strings.Contains(err.Error(), "the configuration names it") {
		t.Errorf("with a message: %v", err)
	}
	if got, err := f.RemoveSite(t.Context(), site, true); err != nil || got.Subscriptions != 1 {
		t.Errorf("forced: %+v, %v", got, err)
	}
	if _, err := f.Store.Message(t.Context(), site, sent.Message.ID); !errors.Is(err, pushsvc.ErrNotFound) {
		t.Errorf("its message: %v", err)
	}
	if f.PopupsConfig(t.Context(), site) != nil {
		t.Error("its pop-up still runs")
	}
	if err := visits(t, f.Service, site, 1); err != nil {
		t.Errorf("it begins again: %v", err)
	}
}

// TestPurgeProfiles: matching profiles are erased, with their subscriptions; an
// expression that is missing, invalid, or about data outside of profiles matches
// none.
func TestPurgeProfiles(t *testing.T) {
	s := newShop(t)
	const people, junk = 12_000, 11_000
	for n := range people {
		if n == junk {
			s.advance(24 * time.Hour)
		}
		if err := visits(t, s.Service, shopSite, n); err != nil {
			t.Fatal(err)
		}
	}
	sub := pushsvc.Subscription{Site: shopSite, Endpoint: "https://web.push.apple.com/x", Device: device(5), Created: s.now(), Seen: s.now()}
	if _, err := s.Store.PutSubscription(t.Context(), sub, nil); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{"", " ", "profile.", "42", `device == "phone"`, `language != "de" && !known`} {
		if _, err := s.PurgeProfiles(t.Context(), shopSite, api.PurgeRequest{Where: where}); fieldOf(err) != "where" {
			t.Errorf("%q: %v", where, err)
		}
	}
	purge := func(r api.PurgeRequest) (sum api.Purged, calls int) {
		t.Helper()
		for {
			p, err := s.PurgeProfiles(t.Context(), shopSite, r)
			if err != nil {
				t.Fatal(err)
			}
			calls++
			sum.Looked, sum.Matched, sum.Erased = sum.Looked+p.Looked, sum.Matched+p.Matched, sum.Erased+p.Erased
			if r.After = p.Next; r.After == "" {
				return sum, calls
			}
		}
	}
	const where = `!known && !subscribed && now - seen > duration("12h") && events.x.count == 1`
	for _, dry := range []bool{true, false} {
		erased := int64(junk - 1)
		if dry {
			erased = 0
		}
		got, calls := purge(api.PurgeRequest{Where: where, DryRun: dry})
		if want := (api.Purged{Looked: people, Matched: junk - 1, Erased: erased}); got != want || calls < 2 {
			t.Errorf("dry %t: %+v in %d calls; want %+v", dry, got, calls, want)
		}
	}
	if got, _ := purge(api.PurgeRequest{Where: "subscribed"}); got.Erased != 1 || got.Looked != people-junk+1 {
		t.Errorf("the subscriber: %+v", got)
	}
	if sum, err := s.Store.Site(t.Context(), shopSite); err != nil || sum.Subscriptions != 0 {
		t.Errorf("subscriptions: %+v, %v", sum, err)
	}
}

// TestRoom: known visitors and subscribers have priority in the store.
func TestRoom(t *testing.T) {
	s := newShop(t)
	f := newFixture(t)
	f.Store, f.Clock = s.Store, s.Clock
	f.Logger = s.Logger
	f.withKey(t)
	known := request(1)
	known.Device = device(1)
	if _, err := f.Subscribe(t.Context(), shopSite, known); err != nil {
		t.Fatal(err)
	}
	for n := range 500 {
		if err := visits(t, f.Service, shopSite, n); err != nil {
			t.Fatal(err)
		}
	}
	used, err := f.Store.Used(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 1000
	stranger := func() error { n++; return visits(t, f.Service, shopSite, n) }
	returning := func() error { return visits(t, f.Service, shopSite, 2) }
	subscribe := func() error { n++; _, err := f.Subscribe(t.Context(), shopSite, request(n)); return err }
	renew := func() error { _, err := f.Subscribe(t.Context(), shopSite, known); return err }
	page := func() error {
		n++
		return f.RecordFromProxy(t.Context(), shopSite, people.Batch{Device: device(n), At: s.now(), Entries: []people.Entry{{Kind: people.EntryEvent, Name: "x", Time: s.now()}}})
	}
	site := func() error { n++; return visits(t, f.Service, made(n), n) }
	all := []func() error{stranger, page, site, returning, subscribe, renew}
	for _, tt := range []struct {
		share   float64 // used share of the limit
		refused string
	}{
		{0.8, "......"}, {0.91, "xxx..."}, {0.95, "xxxx.."}, {0.98, "xxxxx."}, {1.1, "xxxxxx"},
	} {
		s.advance(time.Minute)
		f.MaxStoreSize = int64(float64(used) / tt.share)
		var got strings.Builder
		for _, do := range all {
			switch err := do(); {
			case err == nil:
				got.WriteByte('.')
			case errors.Is(err, service.ErrNoRoom):
				got.WriteByte('x')
			default:
				t.Fatal(err)
			}
		}
		if got.String() != tt.refused {
			t.Errorf("at %v: %s, want %s (stranger, page, new site, returning, subscription, renewal)", tt.share, got.String(), tt.refused)
		}
	}
	if err := f.Unsubscribe(t.Context(), shopSite, proofOf(known)); err != nil {
		t.Errorf("leaving: %v", err)
	}
	if err := f.Unsubscribe(t.Context(), shopSite, service.ProofJSON{}); fieldOf(err) == "" {
		t.Errorf("no proof: %v", err)
	}
	if warnings := strings.Count(s.log.String(), "max_store_size"); warnings < 1 || warnings > 4 {
		t.Errorf("told %d times: %s", warnings, fmt.Sprint(&s.log))
	}
}

func proofOf(r service.SubscribeRequest) (p service.ProofJSON) {
	p.Endpoint, p.Keys.Auth = r.Endpoint, r.Keys.Auth
	return p
}
