package pushsvc_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// TestAppendPayload pins what the worker reads, byte by byte.
func TestAppendPayload(t *testing.T) {
	c := full()
	got := string(pushsvc.AppendPayload([]byte("kept "), "id-1", "tok", &c))
	want := `kept {"id":"id-1","token":"tok","notification":{"title":"Sale","navigate":"/sale?x=1&y=<2>","body":"Now on",` +
		`"icon":"https://cdn.example/i.png","image":"/big.png","badge":"/b.png","tag":"sale","dir":"rtl","lang":"pt-BR",` +
		`"vibrate":[0,10000],"timestamp":1,"renotify":true,"requireInteraction":true,"data":{"k":[1,"\u2028"]},` +
		`"actions":[{"action":"buy","title":"Buy","navigate":"/buy","icon":"/x.png"},{"action":"later","title":"Later"}]}}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c = pushsvc.Content{Title: "x", Silent: true}
	got = string(pushsvc.AppendPayload(nil, "i", "t", &c))
	if want := `{"id":"i","token":"t","notification":{"title":"x","tag":"i","silent":true}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecretIsNotShown(t *testing.T) {
	key := pushsvc.Key{ID: "1", Public: "public", Private: "hush-hush"}
	text, err := json.Marshal(map[string]any{"a": key, "b": key.Private, "c": &key})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "key", key, "private", key.Private)
	for _, shown := range []string{
		string(text), log.String(),
		fmt.Sprint(key), fmt.Sprintf("%+v %#v %q %x %s", key, key, key.Private, key.Private, key.Private),
	} {
		if strings.Contains(shown, "hush") || strings.Contains(shown, fmt.Sprintf("%x", "hush")) {
			t.Errorf("the private key shows: %s", shown)
		}
	}
	if key.Private.Reveal() != "hush-hush" {
		t.Error("Reveal does not")
	}
}

func TestCleanOrigin(t *testing.T) {
	type origin struct{ Language, TimeZone, Page string }
	for _, tt := range []struct {
		name     string
		in, want origin
	}{
		{"good", origin{"de-DE", "Europe/Berlin", "https://a.example/x/y"}, origin{"de-DE", "Europe/Berlin", "/x/y"}},
		{"odd but real", origin{"zh-Hant-TW", "America/Port-au-Prince", "/p"}, origin{"zh-Hant-TW", "America/Port-au-Prince", "/p"}},
		{"zones with digits", origin{"", "Etc/GMT+12", ""}, origin{"", "Etc/GMT+12", ""}},
		{"query and fragment go", origin{"", "", "https://u:p@a.example/x%2Fy?mail=me@x#secret"}, origin{"", "", "/x%2Fy"}},
		{"garbage", origin{"<script>", "Europe/Berlin\n", "::"}, origin{}},
		{"NUL", origin{"de\x00", "U\x00TC", "/\x00"}, origin{}},
		{"bad UTF-8", origin{"d\xff", "UTC\xff", "/\xff"}, origin{}},
		{"long", origin{strings.Repeat("a-", 20), strings.Repeat("A", pushsvc.MaxTimeZone+1), "/" + strings.Repeat("x", pushsvc.MaxPage)}, origin{}},
		{"placeholder", origin{"{env.HOME}", "{file./etc/passwd}", "{http.vars.x}"}, origin{Page: "%7Bhttp.vars.x%7D"}},
		{"opaque", origin{"", "", "javascript:alert(1)"}, origin{}},
	} {
		s := pushsvc.Subscription{Language: tt.in.Language, TimeZone: tt.in.TimeZone, Page: tt.in.Page}
		s.CleanOrigin()
		if got := (origin{s.Language, s.TimeZone, s.Page}); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
