package people_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// TestAddPopupText: counting in the text equals decoding, counting and encoding, also for names that look
// like the text around them.
func TestAddPopupText(t *testing.T) {
	names := []string{"", "a", `"n":1`, `{"a":"clicked","n":5}`, `","n":7},{"v":"`, "<b>&", "\u2028", "\\", "ä", "]", "}"}
	acts := []people.Act{people.ActViewed, people.ActClicked, people.ActClosed}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var want people.PopupHour
		var text []byte
		for n := range 600 {
			s := people.PopupStat{Variant: names[r.IntN(len(names))], Act: acts[r.IntN(3)], Element: names[r.IntN(len(names))]}
			if r.IntN(2) == 0 {
				s.Element = fmt.Sprint("#", n, s.Element)
			}
			want = want.Add(s, int64(n%7+1))
			var err error
			if text, err = people.AddPopupText(text, map[people.PopupStat]int64{s: int64(n%7 + 1)}); err != nil {
				t.Fatal(err)
			}
		}
		var got people.PopupHour
		if err := json.Unmarshal(text, &got); err != nil || !cmp.Equal(got, want) {
			t.Fatalf("%v: %s", err, cmp.Diff(want, got))
		}
	}
	for _, bad := range []string{`[{"a":"viewed","n":x}]`, `[{"a":"viewed","n":1`} {
		if text, err := people.AddPopupText([]byte(bad), map[people.PopupStat]int64{{Act: people.ActViewed}: 1}); err == nil {
			t.Errorf("%s: %s", bad, text)
		}
	}
}
