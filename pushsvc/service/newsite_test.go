package service_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// TestSitesBounded: strangers make up host names where a pattern stands for all.
// They don't begin sites without end; those that are there, and those that the
// configuration names, go on.
func TestSitesBounded(t *testing.T) {
	s := newShop(t)
	s.MaxSites, s.Configured = 5, sites{"named.example.com": {}}
	n := 0
	visit := func(to *service.Service, site string) error {
		n++
		_, err := to.Record(t.Context(), site, service.Sender{Device: device(n)}, service.RecordRequest{
			Batch: fmt.Sprintf("AAAAAAAAAAAAAAAAAA%03dA", n), Events: []service.EntryInput{{Report: service.Report{Type: "event"}, Name: "x"}},
		})
		return err
	}
	told := func(site string) error {
		return s.Told(t.Context(), site, pushsvc.Batch{Device: device(900), At: s.now, Entries: []pushsvc.Entry{{Kind: pushsvc.EntryEvent, Name: "x", Time: s.now}}})
	}
	refused := 0
	for i := range 20 {
		err := visit(s.Service, fmt.Sprintf("made-up-%d.example.com", i))
		if err != nil && !errors.Is(err, service.ErrTooManySites) {
			t.Fatal(err)
		}
		if err != nil {
			refused++
		}
	}
	if refused != 16 { // four, and the one that is named
		t.Errorf("%d of 20 are refused", refused)
	}
	if err := told("made-up-17.example.com"); !errors.Is(err, service.ErrTooManySites) {
		t.Errorf("the proxy's own: %v", err)
	}
	for _, site := range []string{"made-up-0.example.com", "named.example.com"} {
		if err := visit(s.Service, site); err != nil {
			t.Errorf("%s: %v", site, err)
		}
	}
	if strings.Count(s.log.String(), "are not taken") != 1 {
		t.Errorf("told: %s", &s.log)
	}
	again := &service.Service{Store: s.Store, Clock: s.Clock, MaxSites: 5, Configured: s.Configured}
	if err := visit(again, "made-up-3.example.com"); err != nil {
		t.Errorf("one that is stored, after a restart: %v", err)
	}
	if err := visit(again, "made-up-9.example.com"); !errors.Is(err, service.ErrTooManySites) {
		t.Errorf("another, after a restart: %v", err)
	}
	s.now = s.now.Add(2 * time.Hour)
	if err := visit(s.Service, "made-up-9.example.com"); err == nil || strings.Count(s.log.String(), "are not taken") != 2 {
		t.Errorf("%v, told: %s", err, &s.log)
	}
	all, err := s.Store.PeopleSites(t.Context())
	if err != nil || len(all) != 5 {
		t.Errorf("%d sites are stored, %v", len(all), err)
	}
}
