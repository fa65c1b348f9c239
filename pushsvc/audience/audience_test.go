package audience_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/audience"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// anna has attributes and events.
func anna() audience.Visitor {
	return audience.Visitor{
		Attributes: map[string]any{
			"Name": "Anna", "Age": float64(34), "vip": true, "tags": []any{"shoes", "bags"}, "city": "Berlin",
			"address": map[string]any{"zip": "10115"}, "long": strings.Repeat("a", 1000),
		},
		Events: map[string]audience.Event{
			"Charged":    {Count: 3, First: now.AddDate(0, -1, 0), Last: now.Add(-time.Hour)},
			"Added cart": {Count: 1, First: now, Last: now},
		},
		Device: "phone", Subscribed: true, Visits: 5, Language: "de-AT", Now: now,
	}
}

func TestIncludes(t *testing.T) {
	for _, tt := range []struct {
		expression     string
		anna, stranger bool
	}{
		{"", true, true},
		{"  ", true, true},
		{`true`, true, true},
		{`subscribed`, true, false},
		{`!subscribed`, false, true},
		{`visits > 2 && device == "phone"`, true, false},
		{`language.startsWith("de")`, true, false},
		{`profile.Age >= 18`, true, false},
		{`profile.Age < 18`, false, false},
		{`profile.Age == 34`, true, false},
		{`profile.Name == "Anna"`, true, false},
		{`profile.Name != "Bob"`, true, false}, // a missing attribute is unknown, not different
		{`!has(profile.Name) || profile.Name != "Bob"`, true, true},
		{`profile.?Name.orValue("Bob") != "Bob"`, true, false},
		{`profile.vip`, true, false},
		{`!profile.vip`, false, false},
		{`profile.Name`, false, false}, // neither true nor false
		{`"shoes" in profile.tags`, true, false},
		{`profile.tags.exists(t, t.startsWith("ba"))`, true, false},
		{`profile.address.zip == "10115"`, true, false},
		{`profile.nothing.at.all == 1`, false, false},
		{`profile.nothing == 1 || device == "phone"`, true, false},
		{`profile.Name > 5`, false, false},
		{`events.Charged.count >= 3`, true, false},
		{`events["Added cart"].count == 1`, true, false},
		{`events.Charged.count == 0`, false, true},
		{`"Charged" in events`, true, false},
		{`now - events.Charged.last < duration("24h")`, true, false},
		{`now - events.Charged.last > duration("720h")`, false, true},
		{`events.Charged.first < now - duration("168h")`, true, true},
		{`profile.city.matches("^Ber")`, true, false},
		{`1 / 0 == 1`, false, false},
	} {
		a, err := audience.Compile(tt.expression)
		if err != nil {
			t.Errorf("%s: %v", tt.expression, err)
			continue
		}
		for _, who := range []struct {
			name    string
			visitor audience.Visitor
			want    bool
		}{{"anna", anna(), tt.anna}, {"stranger", audience.Visitor{Now: now, Visits: 1}, tt.stranger}} {
			if got, err := a.Includes(who.visitor); got != who.want || err != nil {
				t.Errorf("%s for %s: %v, %v", tt.expression, who.name, got, err)
			}
		}
	}
	var everybody *audience.Audience
	if in, err := everybody.Includes(anna()); !in || err != nil {
		t.Error("nil does not include every visitor")
	}
}

// TestFaults: the author of an expression learns where it is wrong and what would be right.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		expression   string
		line, column int
		says         string
	}{
		{`visits >`, 1, 9, "ends too early"},
		{`(`, 1, 2, "ends too early"},
		{"subscribed\n&& profile.City ==\n", 3, 1, "ends too early"},
		{`!`, 1, 2, "ends too early"},
		{`profile.x in [1,2`, 1, 18, "ends too early"},
		{`size(profile`, 1, 13, ") is missing"},
		{`profile["a"`, 1, 12, "] is missing"},
		{`profile.City = "Ulm"`, 1, 14, "write =="},
		{`subscribed & visits > 1`, 1, 12, "write &&"},
		{`subscribed | visits > 1`, 1, 12, "write ||"},
		{`profile.City == "Ulm" and subscribed`, 1, 23, "and is written &&"},
		{`profile.City == "Ulm" or subscribed`, 1, 23, "or is written ||"},
		{`profile.City == “Ulm”`, 1, 17, "“ is not a CEL quotation mark"},
		{`profile.City == "Ulm`, 1, 17, "does not end"},
		{`visits > 1 #`, 1, 12, "CEL has no #"},
		{`true)`, 1, 5, ") can't stand here"},
		{`a b`, 1, 3, "b can't stand here"},
		{`now > "2026"`, 1, 5, "> does not go with a time and a text"},
		{`language.startsWith(5)`, 1, 20, "startsWith() does not go with a text and a number"},
		{`events.Charged > 1`, 1, 16, "> does not go with an event as a whole and a number"},
		{`now - visits`, 1, 5, "- does not go with a time and a number"},
		{`subscribed ? 1 : 2`, 0, 0, "but a number"},
		{"visits > 1 &&\n porfile.x", 2, 2, `"porfile" is not known: there are profile,`},
		{`Age > 3`, 1, 1, "profile.Age"},
		{`visits > "2"`, 1, 8, "> does not go with a number and a text"},
		{`events.Charged.cuont > 1`, 1, 15, "count, first and last"},
		{`visits`, 0, 0, `compare it`},
		{`"a" + "b"`, 0, 0, "a text"},
		{`has(events.Charged)`, 1, 4, "events.Charged.count > 0"},
		{`profile.a.matches(profile.b)`, 1, 18, "written out"},
		{`device.matches("(")`, 1, 16, "invalid matches"},
		{`duration("soon") > duration("1h")`, 1, 10, "duration"},
		{strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200), 1, 0, "deeper than 50"},
		{strings.Repeat("a", audience.MaxExpression+1), 0, 0, "longer"},
		{`system("id")`, 1, 7, `"system" is not known`},
	} {
		_, err := audience.Compile(tt.expression)
		var fault *audience.Error
		if err != nil && (strings.Contains(err.Error(), "Syntax error") || strings.Contains(err.Error(), "expecting") || strings.Contains(err.Error(), "EOF")) {
			t.Errorf("%.60s: %v", tt.expression, err)
		}
		if !errors.As(err, &fault) || fault.Line != tt.line || tt.column != 0 && fault.Column != tt.column || !strings.Contains(fault.Error(), tt.says) {
			t.Errorf("%.60s: %+v; want %d:%d %s", tt.expression, err, tt.line, tt.column, tt.says)
		}
	}
}

// TestHostile: no expression takes long, whatever its author or a visitor's profile contains.
func TestHostile(t *testing.T) {
	list := make([]any, 100)
	for i := range list {
		list[i] = strings.Repeat("a", 100)
	}
	v := anna()
	v.Attributes["list"] = list
	for _, expression := range []string{
		`profile.list.all(a, profile.list.all(b, profile.list.all(c, profile.list.all(d, a == b && c == d))))`,
		`profile.list.map(a, profile.list.map(b, profile.list.map(c, a + b + c))).size() > 0`,
		`[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, a > 0)))))`,
	} {
		a, err := audience.Compile(expression)
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		start := time.Now()
		in, err := a.Includes(v)
		if in || !errors.Is(err, audience.ErrCost) {
			t.Errorf("%s: %v, %v", expression, in, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", expression, took)
		}
	}
	a, err := audience.Compile(`profile.long.matches("(a*)*(a*)*(a*)*b")`)
	if err != nil {
		t.Fatal(err)
	}
	if in, _ := a.Includes(v); in {
		t.Error("an a is not a b")
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{`events.Charged.count > 0`, `has(profile.x) && profile.x in ["a"]`, `profile.?x.orValue(1) > 2`, `[1].map(x, x)`, `"\xff"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := audience.Compile(s)
		var fault *audience.Error
		if err != nil && !errors.As(err, &fault) {
			t.Fatalf("%v is not a fault of the expression", err)
		}
		if err == nil {
			_, _ = a.Includes(anna())
		}
	})
}
