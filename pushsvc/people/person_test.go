package people_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/memstore"
)

var day = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// TestOps: each case changes one profile's attributes, all JSON.
func TestOps(t *testing.T) {
	const before = `{"n":5,"s":"text","l":["a","b"],"A":[{"b":1,"c":{"d":[1,2]}},7],"o":{"x":{"y":1.5}}}`
	for _, tt := range []struct{ op, key, value, want string }{
		{"incr", "n", `2`, `{"n":7}`},
		{"decr", "n", `7`, `{"n":-2}`},
		{"incr", "new", `2`, `{"new":2}`},
		{"incr", "s", `2`, ``},
		{"incr", "n", `-2`, ``},
		{"incr", "n", `"2"`, ``},
		{"incr", "A[0].b", `4`, `{"A":[{"b":5,"c":{"d":[1,2]}},7]}`},
		{"incr", "A[1]", `1`, `{"A":[{"b":1,"c":{"d":[1,2]}},8]}`},
		{"incr", "A[0].c.d[1]", `1`, `{"A":[{"b":1,"c":{"d":[1,3]}},7]}`},
		{"incr", "o.x.y", `1`, `{"o":{"x":{"y":2.5}}}`},
		{"incr", "A[9].b", `1`, ``},
		{"incr", "A[-1].b", `1`, ``},
		{"incr", "A[0", `1`, ``},
		{"incr", "A[0]x", `1`, ``},
		{"incr", "n.b", `1`, ``},
		{"incr", "missing.b", `1`, ``},
		{"incr", "", `1`, ``},
		{"incr", "a.b.c.d.e.f.g.h.i", `1`, ``},
		{"set", "l", `["x","x","y"]`, `{"l":["x","y"]}`},
		{"set", "s", `"one"`, `{"s":["one"]}`},
		{"set", "l", `null`, `{"l":null}`},
		{"add", "l", `["b","c"]`, `{"l":["a","b","c"]}`},
		{"add", "s", `"more"`, `{"s":["text","more"]}`},
		{"add", "new", `"x"`, `{"new":["x"]}`},
		{"remove", "l", `["a"]`, `{"l":["b"]}`},
		{"remove", "l", `["a","b"]`, `{"l":null}`},
		{"remove", "new", `["a"]`, ``},
		{"delete", "s", ``, `{"s":null}`},
		{"delete", "A[0].c", ``, `{"A":[{"b":1},7]}`},
		{"delete", "A[0]", ``, `{"A":[7]}`},
		{"delete", "new", ``, ``},
	} {
		t.Run(tt.op+" "+tt.key, func(t *testing.T) {
			want := object(t, before)
			if tt.want != "" {
				for k, v := range object(t, tt.want) {
					if v == nil {
						delete(want, k)
					} else {
						want[k] = v
					}
				}
			}
			var value any
			if tt.value != "" {
				if err := json.Unmarshal([]byte(tt.value), &value); err != nil {
					t.Fatal(err)
				}
			}
			s := memstore.New()
			for _, e := range []people.Entry{
				{Kind: people.EntryProfile, Time: day, Set: object(t, before)},
				{Kind: people.EntryProfile, Time: day, Ops: []people.Op{{Kind: people.OpKind(tt.op), Key: tt.key, Value: value}}},
			} {
				if _, err := s.Track(t.Context(), "a.example", people.Batch{Device: pushsvc.DeviceID{1}, At: day, Entries: []people.Entry{e}}); err != nil {
					t.Fatal(err)
				}
			}
			f, err := s.Facts(t.Context(), "a.example", pushsvc.DeviceID{1})
			if err != nil || !reflect.DeepEqual(f.Profile.Attributes, want) {
				t.Errorf("%v, %v\nwant %v", f.Profile.Attributes, err, want)
			}
		})
	}
}

func object(t *testing.T, text string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

func TestCleanProps(t *testing.T) {
	many := map[string]any{}
	for n := range 150 {
		many[fmt.Sprintf("k%03d", n)] = true
	}
	if got := people.CleanProps(many, false); len(got) != people.MaxProps || got["k099"] != true {
		t.Errorf("%d of 150 keys are left", len(got))
	}
	long := strings.Repeat("ü", 2000)
	list := make([]any, 300)
	for i := range list {
		list[i] = float64(i)
	}
	for _, tt := range []struct {
		in    string
		nulls bool
		want  string
	}{
		{`{"a":1,"b":"x","c":true,"d":null}`, false, `{"a":1,"b":"x","c":true}`},
		{`{"a":null,"b":{"c":null}}`, true, `{"a":null}`},
		{`{" a.b:$'\"\\ ":1,"$":2,"  ":3,"__proto__":4}`, false, `{"ab":1}`},
		{`{"a":{"b":{"c":{"d":1,"e":{"f":1}}}}}`, false, `{"a":{"b":{"c":{"d":1}}}}`},
		{`{"a":[{"b":[{"c":{"d":1,"e":{"f":1}}}]}]}`, false, `{"a":[{"b":[{"c":{"d":1}}]}]}`},
		{`{"a":[[[["x"]]]],"b":[[[[["x"]]]]],"e":[],"o":{}}`, false, `{"a":[[[["x"]]]]}`},
		{`{"a":"x\u0000y","` + long + `":"` + long + `"}`, false, `{"a":"xy","` + strings.Repeat("ü", 1024) + `":"` + strings.Repeat("ü", 1024) + `"}`},
	} {
		if got := people.CleanProps(object(t, tt.in), tt.nulls); !reflect.DeepEqual(got, object(t, tt.want)) {
			t.Errorf("%.100s: %.200v", tt.in, got)
		}
	}
	if got := people.CleanProps(map[string]any{"l": list}, false); len(got["l"].([]any)) != people.MaxList {
		t.Errorf("%v", got)
	}
	for name, want := range map[string]string{"Charged": "Charged", " x ": "x", "Stayed": "", "App Launched": "", "": "", strings.Repeat("é", 1030): strings.Repeat("é", 1024)} {
		if got, ok := people.CleanEventName(name); ok != (want != "") || ok && got != want {
			t.Errorf("%.30q: %.30q %t", name, got, ok)
		}
	}
}

func TestIdentities(t *testing.T) {
	for _, tt := range []struct {
		in   people.Identity
		want string
	}{
		{people.Identity{Kind: "email", Value: " Ann@A.example "}, "ann@a.example"},
		{people.Identity{Kind: "identity", Value: "Ann"}, "Ann"},
		{people.Identity{Kind: "fbid", Value: "1"}, "1"},
		{people.Identity{Kind: "phone", Value: "1"}, ""},
		{people.Identity{Kind: "identity", Value: " "}, ""},
		{people.Identity{Kind: "identity", Value: "a\x00b"}, ""},
		{people.Identity{Kind: "identity", Value: "\xff"}, ""},
		{people.Identity{Kind: "identity", Value: strings.Repeat("x", 257)}, ""},
	} {
		if got, ok := tt.in.Clean(); ok != (tt.want != "") || ok && got.Value != tt.want {
			t.Errorf("%q: %q, %t", tt.in, got, ok)
		}
	}
	// The vector of .github/docs/visitors.md: printf '%s' 'email:ann@example.com' | openssl dgst -sha256 -hmac s3cret
	ann := people.Identity{Kind: people.IdentityEmail, Value: "ann@example.com"}
	const signature = "9c7b7408388f55fc81f1132003d0369e5af328ea3e8cc2e7669a6d03a3527d9c"
	if got := people.SignIdentity("s3cret", ann); got != signature {
		t.Errorf("signature %s, want %s", got, signature)
	}
	for given, want := range map[string]bool{signature: true, strings.ToUpper(signature): true, "": false, signature[1:]: false} {
		if people.CheckIdentity("s3cret", ann, given) != want || people.CheckIdentity("other", ann, given) {
			t.Errorf("%q is taken: %t", given, !want)
		}
	}
}

// TestOpsOverflow: a number that would become infinite stays, and the rest of the batch is applied.
func TestOpsOverflow(t *testing.T) {
	s := memstore.New()
	incr := func(key string, amount float64) people.Op {
		return people.Op{Kind: people.OpIncrement, Key: key, Value: amount}
	}
	for _, ops := range [][]people.Op{{incr("big", 1.7e308)}, {incr("big", 1.7e308), incr("n", 1)}} {
		if _, err := s.Track(t.Context(), "a.example", people.Batch{Device: pushsvc.DeviceID{1}, At: day, Entries: []people.Entry{{Kind: people.EntryProfile, Time: day, Ops: ops}}}); err != nil {
			t.Fatal(err)
		}
	}
	f, err := s.Facts(t.Context(), "a.example", pushsvc.DeviceID{1})
	if want := map[string]any{"big": 1.7e308, "n": 1.0}; err != nil || !reflect.DeepEqual(f.Profile.Attributes, want) {
		t.Errorf("%v, %v", f.Profile.Attributes, err)
	}
}
