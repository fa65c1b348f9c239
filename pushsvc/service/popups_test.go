package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/memstore"
)

// lockedBuffer is also written in the background.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// shop is a service with a clock that the test sets.
type shop struct {
	*testing.T
	*service.Service
	clock
	log lockedBuffer
}

const shopSite = "shop.example.com"

func newShop(t *testing.T) *shop {
	s := &shop{T: t}
	s.setNow(time.Date(2026, 11, 23, 22, 30, 0, 0, time.UTC))
	s.Service = &service.Service{
		Store: memstore.New(), Clock: s.now, Logger: slog.New(slog.NewTextHandler(&s.log, nil)),
	}
	return s
}

func (s *shop) put(text string) {
	s.Helper()
	var p popup.Popup
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		s.Fatal(err)
	}
	if _, err := s.PutPopup(s.Context(), shopSite, p, pushsvc.AnyRevision); err != nil {
		s.Fatal(err)
	}
}

func device(n int) (d pushsvc.DeviceID) {
	copy(d[:], fmt.Sprintf("device %d", n))
	return d
}

// ids returns a device's pop-ups.
func (s *shop) ids(d pushsvc.DeviceID, zone string) string {
	s.Helper()
	answer, err := s.PopupsFor(s.Context(), shopSite, d, service.PopupsRequest{Page: service.PageInput{Path: "/"}, TimeZone: zone})
	if err != nil {
		s.Fatal(err)
	}
	var out []string
	for _, p := range answer.Popups {
		out = append(out, p.ID+p.Variant)
	}
	return strings.Join(out, " ")
}

// viewed reports that a device has seen a pop-up.
func (s *shop) viewed(d pushsvc.DeviceID, popup string) {
	s.Helper()
	_, err := s.Store.Track(s.Context(), shopSite, people.Batch{Device: d, At: s.now(), Entries: []people.Entry{
		{Kind: people.EntryPopup, Time: s.now(), Popup: &people.PopupAct{Popup: popup, Act: people.ActViewed}},
	}})
	if err != nil {
		s.Fatal(err)
	}
}

// TestPopupDays: a daily cap uses the calendar of the pop-up's zone, and from and
// until use its clock.
func TestPopupDays(t *testing.T) {
	s := newShop(t)
	if _, err := s.SetPopupSettings(t.Context(), shopSite, popup.Settings{}, pushsvc.AnyRevision); err != nil {
		t.Fatal(err)
	}
	s.put(`{"id":"berlin","state":"running","kind":"box","content":{"title":"T"},"timeZone":"Europe/Berlin","caps":{"day":1},"until":"2026-11-25T00:00"}`)
	s.put(`{"id":"visitor","state":"running","kind":"box","content":{"title":"T"},"caps":{"day":1}}`)
	d := device(1)
	s.viewed(d, "berlin") // 23:30 there
	s.viewed(d, "visitor")
	if got := s.ids(d, "America/New_York"); got != "" {
		t.Errorf("after both: %s", got)
	}
	s.advance(31 * time.Minute)
	if got := s.ids(d, "America/New_York"); got != "berlin" {
		t.Errorf("after midnight in Berlin: %s", got)
	}
	if got := s.ids(d, "Europe/Berlin"); got != "berlin visitor" {
		t.Errorf("the visitor is in Berlin too: %s", got)
	}
	s.setNow(time.Date(2026, 11, 24, 23, 0, 0, 0, time.UTC))
	if got := s.ids(d, "America/New_York"); got != "visitor" {
		t.Errorf("after the end in Berlin: %s", got)
	}
}

// TestPopupLogin: caps and variants apply to all devices of a person.
func TestPopupLogin(t *testing.T) {
	s := newShop(t)
	s.put(`{"id":"once","state":"running","kind":"box","content":{"title":"T"},"caps":{"lifetime":1},"variants":[{"id":"-a","weight":1},{"id":"-b","weight":1}]}`)
	login := func(d pushsvc.DeviceID) {
		t.Helper()
		_, err := s.Store.Track(t.Context(), shopSite, people.Batch{Device: d, At: s.now(), Entries: []people.Entry{
			{Kind: people.EntryLogin, Time: s.now(), Identities: []people.Identity{{Kind: people.IdentityEmail, Value: "a@b.example"}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range 8 {
		login(device(n))
		if a, b := s.ids(device(0), ""), s.ids(device(n), ""); a != b || a == "" {
			t.Errorf("one device gets %s, another %s", a, b)
		}
	}
	s.viewed(device(0), "once")
	if got := s.ids(device(7), ""); got != "" {
		t.Errorf("seen on another device, and again here: %s", got)
	}
	if got := s.ids(device(9), ""); got == "" {
		t.Error("a stranger does not get it")
	}
}

// TestPopupHoldout: held-out visitors get nothing, and are always the same ones.
func TestPopupHoldout(t *testing.T) {
	s := newShop(t)
	s.put(`{"id":"p","state":"running","kind":"box","content":{"title":"T"}}`)
	if _, err := s.SetPopupSettings(t.Context(), shopSite, popup.Settings{Holdout: 50}, 0); err != nil {
		t.Fatal(err)
	}
	out := 0
	for n := range 200 {
		first := s.ids(device(n), "")
		if first != s.ids(device(n), "") {
			t.Fatal("held out once, and once not")
		}
		if first == "" {
			out++
		}
	}
	if out < 60 || out > 140 {
		t.Errorf("%d of 200 are held out", out)
	}
	if _, err := s.SetPopupSettings(t.Context(), shopSite, popup.Settings{}, 0); !errors.Is(err, pushsvc.ErrRevision) {
		t.Errorf("with an old revision: %v", err)
	}
}

// deaf is a store that fails.
type deaf struct {
	store.Store
	down bool
}

var errDown = errors.New("the store is down")

func (d *deaf) PopupSites(ctx context.Context) ([]string, error) {
	if d.down {
		return nil, errDown
	}
	return d.Store.PopupSites(ctx)
}

// TestPopupStoreDown: pages get no pop-ups while the store can't be read, and get
// them again when it can.
func TestPopupStoreDown(t *testing.T) {
	s := newShop(t)
	s.put(`{"id":"p","state":"running","kind":"box","content":{"title":"T"}}`)
	store := &deaf{Store: s.Store, down: true}
	fresh := &service.Service{Store: store, Clock: s.Clock}
	if c := fresh.PopupsConfig(t.Context(), shopSite); c != nil {
		t.Errorf("%+v", c)
	}
	if _, err := fresh.PopupsFor(t.Context(), shopSite, device(1), service.PopupsRequest{}); err == nil {
		t.Error("no error of a store that is down")
	}
	store.down = false
	s.advance(2 * time.Second)
	if c := fresh.PopupsConfig(t.Context(), shopSite); c == nil || len(c.List) != 1 || c.V == "" {
		t.Errorf("%+v", c)
	}
	if c := fresh.PopupsConfig(t.Context(), "other.example.com"); c != nil {
		t.Errorf("another site is told %+v", c)
	}
}

// TestPopupWritesAreSeen: during many writes, no reader gets a half-written
// pop-up; at the end all read the last one.
func TestPopupWritesAreSeen(t *testing.T) {
	s := newShop(t)
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for range 20 {
				state := popup.Running
				p := popup.Popup{ID: fmt.Sprintf("p%d", n), State: state, Kind: popup.Inbox, Content: popup.Content{Title: "T"}}
				if _, err := s.PutPopup(t.Context(), shopSite, p, pushsvc.AnyRevision); err != nil {
					t.Error(err)
				}
				if _, err := s.SetPopupState(t.Context(), shopSite, p.ID, popup.Paused); err != nil {
					t.Error(err)
				}
			}
			if _, err := s.SetPopupState(t.Context(), shopSite, fmt.Sprintf("p%d", n), popup.Running); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			for range 50 {
				if _, err := s.PopupsFor(t.Context(), shopSite, device(n), service.PopupsRequest{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := s.ids(device(1), ""); got != "p0 p1 p2 p3" {
		t.Errorf("got %s", got)
	}
}

// TestPopupChapter: the chapter's pop-up is accepted, and shown to its audience.
func TestPopupChapter(t *testing.T) {
	raw, err := os.ReadFile("../../.github/docs/popups.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(raw), "```json\n")
	text, _, _ = strings.Cut(text, "```")
	s := newShop(t)
	s.put(text)
	s.setNow(time.Date(2026, 12, 2, 12, 0, 0, 0, time.UTC))
	if _, err := s.SetPopupState(t.Context(), shopSite, "stay", popup.Running); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Store.Track(t.Context(), shopSite, people.Batch{Device: device(1), At: s.now(), Entries: []people.Entry{
		{Kind: people.EntryEvent, Name: "Added to cart", Time: s.now()},
	}}); err != nil {
		t.Fatal(err)
	}
	answer, err := s.PopupsFor(t.Context(), shopSite, device(1), service.PopupsRequest{Device: "desktop"})
	if err != nil || len(answer.Popups)+len(answer.Controls) != 1 {
		t.Errorf("%+v, %v", answer, err)
	}
}

// act reports what a device did with a pop-up, as its browser does.
func (s *shop) act(d pushsvc.DeviceID, popup, variant string, n int) {
	s.Helper()
	secret, err := s.Store.Secret(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	entry := service.EntryInput{Act: people.ActViewed, Popup: popup, Variant: variant}
	entry.Type, entry.Token = "popup", pushsvc.PopupToken(secret, shopSite, popup, variant, d)
	_, err = s.Record(s.Context(), shopSite, service.Sender{Device: d}, service.RecordRequest{
		Batch: fmt.Sprintf("AAAAAAAAAAAAAAAAAA%03dA", n), Session: session, Events: []service.EntryInput{entry},
	})
	if err != nil {
		s.Fatal(err)
	}
}

const session = "SSSSSSSSSSSSSSSSSSSSSA"

// TestPopupCounting: neither inboxes nor control views count towards a session's
// pop-ups, and inboxes are shown regardless of the limit.
func TestPopupCounting(t *testing.T) {
	s := newShop(t)
	s.put(`{"id":"box","state":"running","kind":"box","content":{"title":"T"}}`)
	s.put(`{"id":"inbox","state":"running","kind":"inbox","content":{"title":"T"}}`)
	d := device(1)
	in := func(shown map[string]int) string {
		t.Helper()
		answer, err := s.PopupsFor(t.Context(), shopSite, d, service.PopupsRequest{Session: session, Shown: shown})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, p := range answer.Popups {
			out = append(out, p.ID)
		}
		return strings.Join(out, " ")
	}
	s.act(d, "gone", popup.Control, 1)
	if got := in(map[string]int{"inbox": 3}); got != "box inbox" {
		t.Errorf("after a control and three messages in the inbox: %s", got)
	}
	s.act(d, "inbox", "", 2)
	if got := in(nil); got != "box inbox" {
		t.Errorf("after a view of the inbox: %s", got)
	}
	s.act(d, "box", "", 3)
	if got := in(nil); got != "inbox" {
		t.Errorf("after a view of the box: %s", got)
	}
	facts, err := s.Store.Facts(t.Context(), shopSite, d)
	if err != nil || facts.Profile.Popups["gone"].Viewed != 0 || facts.Profile.Popups["box"].Viewed != 1 {
		t.Errorf("%+v, %v", facts.Profile, err)
	}
}

// TestPopupControlCaps: the control group is counted where it would have seen the
// pop-up, as often as its caps allow, on all devices. A visitor who leaves it has
// not seen anything yet.
func TestPopupControlCaps(t *testing.T) {
	const body = `{"id":"p","state":"running","kind":"box","content":{"title":"T"},"caps":{%s},"control":%d}`
	for _, tt := range []struct {
		caps  string
		after time.Duration
		again int // in another session, so long after
	}{
		{`"session":1`, 0, 1}, {`"day":1`, 0, 0}, {`"day":1`, 24 * time.Hour, 1}, {`"lifetime":1`, 30 * 24 * time.Hour, 0},
	} {
		s := newShop(t)
		s.put(fmt.Sprintf(body, tt.caps, 90))
		asked := func(d pushsvc.DeviceID, session string) (controls, popups int) {
			t.Helper()
			answer, err := s.PopupsFor(t.Context(), shopSite, d, service.PopupsRequest{Session: session})
			if err != nil {
				t.Fatal(err)
			}
			return len(answer.Controls), len(answer.Popups)
		}
		d := device(1)
		for n := 2; ; n++ {
			if controls, _ := asked(d, session); controls == 1 {
				break
			}
			d = device(n)
		}
		s.act(d, "p", popup.Control, 1)
		if controls, popups := asked(d, session); controls+popups != 0 {
			t.Errorf("%s: kept from the visitor, and again at once", tt.caps)
		}
		s.put(`{"id":"other","state":"running","kind":"box","content":{"title":"T"}}`)
		answer, err := s.PopupsFor(t.Context(), shopSite, d, service.PopupsRequest{Session: session, Shown: map[string]int{"p": 1}})
		if err != nil || len(answer.Popups) != 1 {
			t.Errorf("%s: what was kept from the visitor counts among the pop-ups of the session: %+v, %v", tt.caps, answer, err)
		}
		if err := s.DeletePopup(t.Context(), shopSite, "other", pushsvc.AnyRevision); err != nil {
			t.Fatal(err)
		}
		s.advance(tt.after)
		if controls, _ := asked(d, "TTTTTTTTTTTTTTTTTTTTTA"); controls != tt.again {
			t.Errorf("%s: %v later, in another session: %d, want %d", tt.caps, tt.after, controls, tt.again)
		}
		s.put(fmt.Sprintf(body, tt.caps, 0))
		if _, popups := asked(d, session); popups != 1 {
			t.Errorf("%s: without a control group it is not shown to a visitor who has not seen it", tt.caps)
		}
	}
}

// TestPopupStatsUnseen: all variants and the control group are in the counts before the first view.
func TestPopupStatsUnseen(t *testing.T) {
	s := newShop(t)
	s.put(`{"id":"ab","kind":"box","content":{"title":"T"},"control":10,"variants":[{"id":"a","weight":1},{"id":"b","weight":1}]}`)
	s.put(`{"id":"one","kind":"box","content":{"title":"T"}}`)
	for id, want := range map[string]string{"ab": "a b control", "one": ""} {
		stats, err := s.PopupStats(t.Context(), shopSite, id, service.StatsQuery{})
		var names []string
		for _, v := range stats.Variants {
			names = append(names, v.Variant)
		}
		if err != nil || len(names) == 0 || strings.Join(names, " ") != want {
			t.Errorf("%s: %q, %v", id, names, err)
		}
	}
}

// TestPopupStatsFolded: counters too old for hours are still in the sums.
func TestPopupStatsFolded(t *testing.T) {
	s := newShop(t)
	s.put(`{"id":"p","state":"running","kind":"box","content":{"title":"T"}}`)
	s.viewed(device(1), "p")
	s.advance(time.Hour)
	s.viewed(device(1), "p")
	if n, err := s.Store.FoldPopups(t.Context(), shopSite, s.now(), 100); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	stats, err := s.PopupStats(t.Context(), shopSite, "p", service.StatsQuery{})
	if err != nil || len(stats.Variants) != 1 || stats.Variants[0].Viewed != 2 || len(stats.Hours) != 1 || !stats.Hours[0].Hour.Equal(time.Date(2026, 11, 23, 23, 0, 0, 0, time.UTC)) || stats.Hours[0].Variants[0].Viewed != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
}

// TestPopupReturning: a visitor who has cleared the storage is not new.
func TestPopupReturning(t *testing.T) {
	s := newShop(t)
	s.put(`{"id":"new","state":"running","kind":"box","content":{"title":"T"},"where":{"visitors":"new"}}`)
	s.put(`{"id":"known","state":"running","kind":"box","content":{"title":"T"},"where":{"visitors":"returning"},"audience":"visits > 1"}`)
	d := device(1)
	if got := s.ids(d, ""); got != "new" {
		t.Errorf("at first: %s", got)
	}
	for range 2 {
		if _, err := s.Store.Track(t.Context(), shopSite, people.Batch{Device: d, At: s.now(), Entries: []people.Entry{
			{Kind: people.EntryVisit, Time: s.now(), Visit: &people.Visit{Page: "/"}},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.ids(d, ""); got != "known" {
		t.Errorf("after two visits: %s", got)
	}
}

// TestPopupConversions: conversions of a paused pop-up count, a draft's never.
func TestPopupConversions(t *testing.T) {
	s := newShop(t)
	for _, state := range []string{"running", "paused", "draft"} {
		s.put(fmt.Sprintf(`{"id":%q,"state":%q,"kind":"box","content":{"title":"T"},"conversion":{"event":"Charged","within":"2d"}}`, state, state))
	}
	var got []string
	for _, c := range s.PopupConversions(t.Context(), shopSite) {
		got = append(got, fmt.Sprint(c.Popup, c.Event, c.Within))
	}
	if fmt.Sprint(got) != "[pausedCharged48h0m0s runningCharged48h0m0s]" {
		t.Error(got)
	}
}

// TestPreviewAddress: without a page, the address is the start page of the site's
// most likely origin.
func TestPreviewAddress(t *testing.T) {
	s := newShop(t)
	for _, tt := range []struct{ site, page, want string }{
		{"shop", "/x", "http://shop.localhost:8080/x?"},
		{"other", "/x", "https://other/x?"},
		{"shop.example", "", "https://shop.example/?webpush_preview=p."},
		{"shop.example", "/x?a=1", "https://shop.example/x?a=1&webpush_preview=p."},
		{"shop.example:8443", "", "https://shop.example:8443/?"},
		{"localhost:8080", "", "http://localhost:8080/?"},
		{"127.0.0.1:8080", "/x", "http://127.0.0.1:8080/x?"},
		{"localhost", "", "https://localhost/?"},
	} {
		p := popup.Popup{ID: "p", Kind: popup.Box, Content: popup.Content{Title: "T"}}
		s.Configured = nil // then all sites are known
		if _, err := s.PutPopup(t.Context(), tt.site, p, pushsvc.AnyRevision); err != nil {
			t.Fatal(err)
		}
		s.Configured = sites{"shop": {}, "shop.example": {}}
		if got, err := s.Preview(t.Context(), tt.site, "p", "", tt.page); err != nil || !strings.HasPrefix(got.URL, tt.want) {
			t.Errorf("%s %q: %q, %v", tt.site, tt.page, got.URL, err)
		}
	}
}

// TestPreviewEnds: an address is valid for an hour.
func TestPreviewEnds(t *testing.T) {
	s := newShop(t)
	s.put(`{"id":"p","state":"draft","kind":"box","content":{"title":"T"}}`)
	p, err := s.Preview(t.Context(), shopSite, "p", "", "/x")
	if err != nil || !p.Expires.Equal(s.now().Add(time.Hour)) {
		t.Fatalf("%+v, %v", p, err)
	}
	_, token, _ := strings.Cut(p.URL, "webpush_preview=")
	for _, tt := range []struct {
		after time.Duration
		good  bool
	}{{time.Hour, true}, {time.Second, false}} {
		s.advance(tt.after)
		answer, err := s.PopupsFor(t.Context(), shopSite, device(1), service.PopupsRequest{Preview: token})
		if (err == nil && len(answer.Popups) == 1) != tt.good {
			t.Errorf("after %v: %+v, %v", tt.after, answer, err)
		}
	}
}

// TestPopupsConfigBounded: many pop-ups with many patterns don't make every
// page's script long.
func TestPopupsConfigBounded(t *testing.T) {
	s := newShop(t)
	paths := `"/` + strings.Repeat("x", 300) + `*"`
	for n := range 20 {
		s.put(fmt.Sprintf(`{"id":"p%02d","state":"running","kind":"box","content":{"title":"T"},"where":{"paths":{"in":[%s]}},"caps":{"session":3}}`,
			n, strings.Repeat(paths+",", 10)+paths))
	}
	s.put(`{"id":"short","state":"running","kind":"box","content":{"title":"T"},"where":{"paths":{"in":["/a"]}}}`)
	c := s.PopupsConfig(t.Context(), shopSite)
	text, err := json.Marshal(c)
	if err != nil || len(text) > 17<<10 || len(c.List) != 21 {
		t.Fatalf("%d bytes for %d pop-ups, %v", len(text), len(c.List), err)
	}
	whole := 0
	for _, r := range c.List {
		if r.ID == "short" && len(r.Where.Paths.In) != 1 || r.ID != "short" && r.Session != 3 {
			t.Errorf("%+v", r)
		}
		if len(r.Where.Paths.In) > 0 {
			whole++
		}
	}
	if whole < 2 {
		t.Error("all are shortened")
	}
}

// TestPopupsHangUp: if the first reader of all pop-ups hangs up, the others still
// get them.
func TestPopupsHangUp(t *testing.T) {
	s := newShop(t)
	s.put(`{"id":"p","kind":"box","state":"running","content":{"title":"T"}}`)
	fresh := &service.Service{Store: s.Store, Clock: s.Clock}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = fresh.PopupsFor(gone, shopSite, pushsvc.DeviceID{}, service.PopupsRequest{})
	if c := fresh.PopupsConfig(t.Context(), shopSite); c == nil || len(c.List) != 1 {
		t.Errorf("the next one gets %+v", c)
	}
}
