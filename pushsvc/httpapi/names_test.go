package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// members is an object of so many.
func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

// TestNames: what has a name twice is refused, and what browsers send is known to
// have none at a glance.
func TestNames(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct {
		body        string
		glance, has bool // seen at a glance; has names once
	}{
		{string(batchBody(random(1), 10)), true, true},
		{`{"a":1,"b":[{"a":1},{"a":2}],"c":{"a":{"a":null}}}`, true, true},
		{` { "a" : [ ] , "b" : { } , "c" : -1.5e+3 , "d" : "\"}{" , "e" : true } `, true, true},
		{`{"props":{"Größe":1,"größe":2,"a":1,"A":2},"PROPS2":1}`, true, true},
		{`{"set":{"a":{"b":1,"B":2}},"value":[{"x":1,"X":2}]}`, true, true},
		{`{"kv":{"a":"1","A":"2"},"query":{"b":"","B":""}}`, true, true},
		{`"x"`, true, true},
		{deep(17), true, true},
		{members(32), true, true},
		// True all the same, but not at a glance.
		{members(33), false, true},
		{`{"Größe":1}`, false, true},
		{`{"a\u0062":1,"ac":1}`, false, true},
		// Not true.
		{`{"a":1,"a":2}`, false, false},
		{`{"a":1,"A":2}`, false, false},
		{`{"s":1,"ſ":2}`, false, false},
		{`{"k":1,"\u212a":2}`, false, false},
		{`{"props":{"a":1,"a":2}}`, false, false},
		{`{"props":{"ab":1,"a\u0062":2}}`, false, false},
		{`{"Props":{"a":1,"A":2}}`, false, false},
		{`{"props":1,"Props":1}`, false, false},
		{`[{"b":{"c":[{"x":1,"y":2,"x":3}]}}]`, false, false},
		{members(40)[:len(members(40))-1] + `,"M7":1}`, false, false},
		{deep(18), false, false},
		{`{} {}`, false, false},
		{`{}x`, false, false},
		{`{"a":1`, false, false},
		{`{"a"}`, false, false},
		{`{"a":}`, false, false},
		{`{"a":1,}`, false, false},
		{`[1,]`, false, false},
		{`[1 2]`, false, false},
		{`{,}`, false, false},
		{`"x`, false, false},
		{`"x\`, false, false},
		{``, false, false},
		{"\x00", false, false},
		{"{}\x00", false, false},
	} {
		if got := httpapi.NamesOnce([]byte(tt.body)); got != tt.glance {
			t.Errorf("%.80q at a glance: %v", tt.body, got)
		}
		if err := httpapi.WalkNames([]byte(tt.body)); (err == nil) != tt.has {
			t.Errorf("%.80q: %v", tt.body, err)
		}
	}
}

// FuzzNames: what is true at a glance is what the walk says, for all that is
// JSON; the rest is refused by whoever decodes it.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{
		string(batchBody(random(1), 2)), `{"a":[{"b":1,"B":2}],"props":{"ß":1,"SS":"\\"}}`, `[{"s":1,"ſ":2},{"K":1,"k":1}]`, `{"a":1}}`, members(33),
		`{"a":-0.1E+2,"b":tru}`, `"\"`, strings.Repeat(`{"a":`, 17), "[1\v]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !httpapi.NamesOnce(body) || !utf8.Valid(body) || !json.Valid(body) {
			return
		}
		if err := httpapi.WalkNames(body); err != nil {
			t.Errorf("%q is right at a glance, but %v", body, err)
		}
	})
}

// FuzzDecodeWhole: a batch that is decoded at once gives what its entries give one
// by one.
func FuzzDecodeWhole(f *testing.F) {
	for _, seed := range []string{
		string(batchBody(random(1), 2)), `{"batch":"b","events":[` + anEvent + `,null,{"type":"optout","value":[{"a":1}]}],"x":{"props":{"a":1,"A":2}}}`,
		`{"Batch":"b","EVENTS":[{"Type":"event","UTM":{"a":"b"},"ops":[{"op":"incr","value":{}}]}],"sent":1e3}`,
		`{"batch":"b","events":[{"identities":[{"kind":"email","value":"\ud800"}]},7]}`, `{"events":[{"type":"shown","time":"x"}]}`, `{"events":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !utf8.Valid(body) {
			return
		}
		whole, ok := httpapi.DecodeWhole(body)
		if !ok {
			return
		}
		each, err := httpapi.DecodeEntries(body)
		if len(whole.Events)+len(each.Events) == 0 {
			whole.Events, each.Events = nil, nil
		}
		if err != nil || !reflect.DeepEqual(whole, each) {
			t.Errorf("%q: %+v at once, %+v one by one, %v", body, whole, each, err)
		}
	})
}

// TestUnknownField: a misspelt field is named with the way to it.
func TestUnknownField(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct{ method, path, body, field, meant string }{
		{"POST", "send", `{"site":"a.example","titel":"x"}`, "titel", "title"},
		{"POST", "send", `{"site":"a.example","title":"x","actions":[{"action":"a","title":"A"},{"action":"b","titel":"B"}]}`, "actions[1].titel", "actions[1].title"},
		{"PUT", "sites/a.example/popups/x", `{"kind":"box","content":{"title":"T","buttons":[{"text":"x","colr":"red"}]}}`, "content.buttons[0].colr", ""},
		{"PUT", "sites/a.example/popups/x", `{"kind":"box","content":{"title":"T"},"where":{"paths":{"inn":["/x"]}},"zzz":1}`, "where.paths.inn", "where.paths.in"},
		{"PUT", "sites/a.example/popups/x", `{"kind":"box","content":{"title":"T","buttons":[{"text":"x","txet":"x"}]}}`, "content.buttons[0].txet", "content.buttons[0].text"},
		{"PUT", "sites/a.example/popups/x", `{"kind":"box","body":"x","content":{"title":"T"}}`, "body", "content.body"},
		{"PUT", "sites/a.example/popups/x", `{"kind":"box","content":{"title":"T","image_alt":"x"}}`, "content.image_alt", "content.imageAlt"},
		{"PUT", "sites/a.example/popups/x", `{"kind":"box","content":{"title":"T","where":{}}}`, "content.where", "where"},
		{"PUT", "sites/a.example/popups/x", `{"kind":"box","content":{"title":"T"},"zzz":1}`, "zzz", ""},
		{"PUT", "sites/a.example/prompt", `{"titel":"x"}`, "titel", "title"},
	} {
		a := f.operate(tt.method, tt.path, tt.body)
		if p := a.problem(t); a.status != http.StatusBadRequest || p.Field != tt.field || !strings.HasPrefix(p.Detail, tt.field+" is not a field") ||
			strings.Contains(p.Detail, "did you mean") != (tt.meant != "") || !strings.Contains(p.Detail, tt.meant) {
			t.Errorf("%s: %d %s", tt.body, a.status, a.body)
		}
	}
}
