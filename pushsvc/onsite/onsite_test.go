package onsite_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/onsite"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// tableCase is one line of the table that web/src/shared/onsite.test.ts runs too.
type tableCase struct {
	Name  string
	Popup popup.Popup
	Page  onsite.Page
	Now   time.Time
	Zone  string
	Seen  onsite.Seen
	// Rule is the rule that pages get, if any.
	Rule json.RawMessage
	// Reason is empty if the pop-up applies.
	Reason onsite.Reason
	// PageCannotTell means that the page takes the pop-up for one that applies.
	PageCannotTell bool
}

// usual is the time of cases that don't state one.
var usual = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func table(t *testing.T) []tableCase {
	t.Helper()
	raw, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []tableCase
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&cases); err != nil {
		t.Fatal(err)
	}
	for i := range cases {
		c := &cases[i]
		c.Popup.ID = "p"
		if c.Popup.State == "" {
			c.Popup.State = popup.Running
		}
		if c.Now.IsZero() {
			c.Now = usual
		}
	}
	return cases
}

func TestTable(t *testing.T) {
	for _, c := range table(t) {
		t.Run(c.Name, func(t *testing.T) {
			if got := onsite.Decide(&c.Popup, c.Page, c.Now, c.Zone, c.Seen); got != c.Reason {
				t.Errorf("not for the visitor because of %q, want %q", got, c.Reason)
			}
			if c.Rule == nil {
				return
			}
			rule, _ := onsite.Public(&c.Popup, c.Now)
			text, err := json.Marshal(rule)
			if err != nil {
				t.Fatal(err)
			}
			var got, want map[string]any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(c.Rule, &want); err != nil {
				t.Fatal(err)
			}
			want["id"] = "p"
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the page is told\n%v\nwant\n%v", got, want)
			}
		})
	}
}

// TestPublicEnds: a pop-up that has ended on every clock on Earth is no longer published.
func TestPublicEnds(t *testing.T) {
	for _, tt := range []struct {
		zone string
		now  string
		want bool
	}{
		{"", "2026-12-01T00:00:00Z", true},
		{"visitor", "2026-12-01T11:59:59Z", true},
		{"visitor", "2026-12-01T12:00:00Z", false},
		{"Europe/Berlin", "2026-11-30T22:59:59Z", true},
		{"Europe/Berlin", "2026-11-30T23:00:00Z", false},
	} {
		now, err := time.Parse(time.RFC3339, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		p := popup.Popup{State: popup.Running, Until: "2026-12-01T00:00", TimeZone: tt.zone}
		if _, got := onsite.Public(&p, now); got != tt.want {
			t.Errorf("%s at %s: %v", tt.zone, tt.now, got)
		}
	}
	if _, ok := onsite.Public(&popup.Popup{State: popup.Paused}, usual); ok {
		t.Error("a paused pop-up is published")
	}
}

// TestDayStart: days are calendar days, also those with 23 or 25 hours and those without a midnight.
func TestDayStart(t *testing.T) {
	for _, tt := range []struct{ zone, now, want string }{
		{"UTC", "2026-11-23T23:59:59Z", "2026-11-23T00:00:00Z"},
		{"Europe/Berlin", "2026-11-23T23:30:00Z", "2026-11-23T23:00:00Z"},
		{"Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-28T23:00:00Z"},    // 23 hours
		{"Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z"},    // 25 hours
		{"America/Santiago", "2026-09-06T12:00:00Z", "2026-09-06T04:00:00Z"}, // no midnight
		{"Pacific/Kiritimati", "2026-11-23T09:59:59Z", "2026-11-22T10:00:00Z"},
		{"Asia/Kathmandu", "2026-11-23T18:15:00Z", "2026-11-23T18:15:00Z"},
	} {
		zone, err := time.LoadLocation(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		now, _ := time.Parse(time.RFC3339, tt.now)
		if got := onsite.DayStart(now, zone).UTC().Format(time.RFC3339); got != tt.want {
			t.Errorf("%s in %s: %s, want %s", tt.now, tt.zone, got, tt.want)
		}
	}
}

// TestDaysNeverGoBack checks every hour of two years in zones with odd clock changes.
func TestDaysNeverGoBack(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/Santiago", "Africa/Casablanca", "Australia/Lord_Howe", "Asia/Beirut", "America/Havana"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		last := time.Time{}
		for now := usual; now.Before(usual.AddDate(2, 0, 0)); now = now.Add(30 * time.Minute) {
			start := onsite.DayStart(now, zone)
			if start.After(now) || now.Sub(start) > 25*time.Hour || start.Before(last) || start.In(zone).Day() != now.In(zone).Day() {
				t.Fatalf("%s: at %v the day began at %v", name, now.In(zone), start)
			}
			last = start
		}
	}
}

// visitors is how many visitors the A/B tests assign.
const visitors = 10_000

// near checks that a count is within three standard deviations of a share.
func near(t *testing.T, what string, got int, share float64) {
	t.Helper()
	mean, sigma := visitors*share, math.Sqrt(visitors*share*(1-share))
	if math.Abs(float64(got)-mean) > 3*sigma {
		t.Errorf("%s: %d of %d, want %.0f ± %.0f", what, got, visitors, mean, 3*sigma)
	}
}

func TestAssign(t *testing.T) {
	p := &popup.Popup{ID: "sale", Control: 20, Variants: []popup.Variant{{ID: "a", Weight: 1}, {ID: "none"}, {ID: "b", Weight: 3}}}
	other := *p
	other.ID = "other"
	got, both := map[string]int{}, 0
	held := 0
	for i := range visitors {
		visitor := fmt.Sprintf("01935a00-%04x-7000-8000-%012x", i&0xffff, i)
		v := onsite.Assign("a.example", p, visitor)
		got[v]++
		if v != onsite.Assign("a.example", p, visitor) {
			t.Fatal("the same visitor is in another variant")
		}
		if v == "a" && onsite.Assign("a.example", &other, visitor) == "a" {
			both++
		}
		if onsite.HeldOut("a.example", visitor, 5) {
			held++
		}
	}
	near(t, "control", got[popup.Control], 0.2)
	near(t, "a", got["a"], 0.2)
	near(t, "b", got["b"], 0.6)
	near(t, "a in two pop-ups", both, 0.04)
	near(t, "held out", held, 0.05)
	if got["none"] != 0 || len(got) != 3 {
		t.Errorf("%v", got)
	}
	plain := &popup.Popup{ID: "plain"}
	if v := onsite.Assign("a.example", plain, "x"); v != popup.Base {
		t.Errorf("variant %q of a pop-up without", v)
	}
	// The control group stays the same when variants change.
	wider := *p
	wider.Variants = p.Variants[:1]
	for i := range 1000 {
		visitor := fmt.Sprint(i)
		if (onsite.Assign("s", p, visitor) == popup.Control) != (onsite.Assign("s", &wider, visitor) == popup.Control) {
			t.Fatal("the control group has changed with the variants")
		}
	}
}

// TestAssignGolden: a release that moved visitors to other variants would spoil every running test.
func TestAssignGolden(t *testing.T) {
	p := &popup.Popup{ID: "sale", Control: 20, Variants: []popup.Variant{{ID: "a", Weight: 1}, {ID: "b", Weight: 1}}}
	var got []string
	for i := range 16 {
		got = append(got, onsite.Assign("shop.example.com", p, fmt.Sprintf("visitor %d", i)))
	}
	if s := strings.Join(got, " "); s != golden {
		t.Errorf("got  %s\nwant %s", s, golden)
	}
}

const golden = "a a b a a a a a b a b a control a a a"

func TestFull(t *testing.T) {
	s := popup.Settings{PerSession: 1, PerDay: 3}
	for _, tt := range []struct {
		session, today int
		want           bool
	}{{0, 0, false}, {1, 0, true}, {0, 2, false}, {0, 3, true}} {
		if got := onsite.Full(s, tt.session, tt.today); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
	if onsite.Full(popup.Settings{}, 99, 99) {
		t.Error("no bound is full")
	}
}

func TestOrder(t *testing.T) {
	rows := []popup.Stored{{Popup: popup.Popup{ID: "b"}}, {Popup: popup.Popup{ID: "a"}}, {Popup: popup.Popup{ID: "z", Priority: 1}}}
	onsite.Order(rows)
	if got := rows[0].Popup.ID + rows[1].Popup.ID + rows[2].Popup.ID; got != "zab" {
		t.Error(got)
	}
}

func TestZone(t *testing.T) {
	for _, tt := range []struct{ popup, visitor, want string }{
		{"", "Europe/Berlin", "Europe/Berlin"},
		{"visitor", "Europe/Berlin", "Europe/Berlin"},
		{"Asia/Tokyo", "Europe/Berlin", "Asia/Tokyo"},
		{"", "", "UTC"},
		{"", "Local", "UTC"},
		{"", "../../etc/passwd", "UTC"},
		{"", strings.Repeat("x", 5000), "UTC"},
	} {
		for range 2 { // the second one is cached
			if got := onsite.Zone(&popup.Popup{TimeZone: tt.popup}, tt.visitor).String(); got != tt.want {
				t.Errorf("%q, %.20q: %s", tt.popup, tt.visitor, got)
			}
		}
	}
}
