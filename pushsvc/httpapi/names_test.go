package httpapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
)

// members returns an object with n members.
func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

// TestNames: a name that occurs twice, or could be read in more than one way, is refused.
func TestNames(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct {
		body string
		good bool
	}{
		{string(batchBody(random(1), 10)), true},
		{`{"a":1,"b":[{"a":1},{"a":2}],"c":{"a":{"a":null}}}`, true},
		{` { "a" : [ ] , "b" : { } , "c" : -1.5e+3 , "d" : "\"}{" , "e" : true } `, true},
		{`{"props":{"Größe":1,"größe":2,"a":1,"A":2},"PROPS2":1}`, true},
		{`{"set":{"a":{"b":1,"B":2}},"value":[{"x":1,"X":2}]}`, true},
		{`{"kv":{"a":"1","A":"2"},"query":{"b":"","B":""}}`, true},
		{`{"a":1,"A":2,"s":1,"ſ":2}`, true}, // two names, each with one meaning
		{`"x"`, true},
		{deep(17), true},
		{`["` + strings.Repeat(`[\"`, 20) + `"]`, true},
		{members(33), true},
		{`{"a\u0062":1,"ac":1}`, true},
		{`["\ud800"]`, true},
		{`{"a":1,"a":2}`, false},
		{`{"k":1,"\u006b":2}`, false},
		{`{"props":{"a":1,"a":2}}`, false},
		{`{"props":{"ab":1,"a\u0062":2}}`, false},
		{`{"props":1,"props":1}`, false},
		{`[{"b":{"c":[{"x":1,"y":2,"x":3}]}}]`, false},
		{members(40)[:len(members(40))-1] + `,"m7":1}`, false},
		{deep(18), false},
		{"[\"\xff\"]", false},
		{`{} {}`, false},
		{`{}x`, false},
		{`{"a":1`, false},
		{`{"a"}`, false},
		{`{"a":}`, false},
		{`{"a":1,}`, false},
		{`[1,]`, false},
		{`[1 2]`, false},
		{`{,}`, false},
		{`"x`, false},
		{`"x\`, false},
		{``, false},
		{"\x00", false},
		{"{}\x00", false},
	} {
		var v any
		if err := exchange.Decode([]byte(tt.body), &v, exchange.Lenient); (err == nil) != tt.good {
			t.Errorf("%.80q: %v", tt.body, err)
		}
	}
}

// TestFaults: a fault is reported with its field's path, or with its line.
func TestFaults(t *testing.T) {
	t.Parallel()
	var in struct {
		Text string `json:"text"`
		List []struct {
			Number int      `json:"number"`
			Flag   *bool    `json:"flag"`
			Kinds  []string `json:"kinds"`
		} `json:"list"`
		Event  pushsvc.ReceiptKind `json:"event"`
		Device pushsvc.DeviceID    `json:"device"`
		Map    map[string]float64  `json:"map"`
	}
	for body, want := range map[string]string{
		`{"text":1}`:                   `text is not a string`,
		`{"event":{}}`:                 `event is not a string`,
		`{"device":[1]}`:               `device is not a string`,
		`{"list":{}}`:                  `list is not a list`,
		`{"list":[{},{"number":1.5}]}`: `list[1].number is not a number of the right range`,
		`{"list":[{"number":99999999999999999999}]}`: `list[0].number is not a number of the right range`,
		`{"list":[{"flag":"yes"}]}`:                  `list[0].flag is not true or false`,
		`{"list":[{"kinds":["a",2]}]}`:               `list[0].kinds[1] is not a string`,
		`{"list":[7]}`:                               `list[0] is not an object`,
		`{"map":{"a/b":"x"}}`:                        `map.a/b is not a number of the right range`,
		`{"list":[{"number":1,"number":1}]}`:         `list[0].number is there twice: an object has each name once`,
		`{"list":[{"Number":1}]}`:                    `list[0].Number is not a field of this request; did you mean "list[0].number"?`,
		`[]`:                                         `the body is not a JSON object`,
		"{\n  \"text\": \"a\",\n  oops\n}":           `the body is not JSON: invalid character 'o' at start of value in line 3, column 3`,
		`{"text":"a"`:                                `the body is not JSON: unexpected EOF in line 1, column 12`,
		" \n":                                        `the body is empty: JSON is missing`,
		"{\"text\":\"\xff\"}":                        `the body is not UTF-8`,
		strings.Repeat(`{"list":[`, 9):               `the body nests deeper than 17 levels`,
	} {
		var problem *api.Problem
		if err := exchange.Decode([]byte(body), &in, exchange.Strict); !errors.As(err, &problem) || problem.Detail != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

// FuzzDecodeWhole: a batch that is decoded at once has the same result as its entries decoded one
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

// TestUnknownField: a misspelt field is named with its path.
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
