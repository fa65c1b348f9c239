package pushsvc_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// TestAddPopupText: counting in the text is what reading it, counting and writing it
// would be, also for names that look like the text around them.
func TestAddPopupText(t *testing.T) {
	names := []string{"", "a", `"n":1`, `{"a":"clicked","n":5}`, `","n":7},{"v":"`, "<b>&", "\u2028", "\\", "ä", "]", "}"}
	acts := []pushsvc.Act{pushsvc.ActViewed, pushsvc.ActClicked, pushsvc.ActClosed}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var want pushsvc.PopupHour
		var text []byte
		for n := range 600 {
			s := pushsvc.PopupStat{Variant: names[r.IntN(len(names))], Act: acts[r.IntN(3)], Element: names[r.IntN(len(names))]}
			if r.IntN(2) == 0 {
				s.Element = fmt.Sprint("#", n, s.Element)
			}
			want = want.Add(s, int64(n%7+1))
			var err error
			if text, err = pushsvc.AddPopupText(text, map[pushsvc.PopupStat]int64{s: int64(n%7 + 1)}); err != nil {
				t.Fatal(err)
			}
		}
		var got pushsvc.PopupHour
		if err := json.Unmarshal(text, &got); err != nil || !cmp.Equal(got, want) {
			t.Fatalf("%v: %s", err, cmp.Diff(want, got))
		}
	}
	for _, bad := range []string{`[{"a":"viewed","n":x}]`, `[{"a":"viewed","n":1`} {
		if text, err := pushsvc.AddPopupText([]byte(bad), map[pushsvc.PopupStat]int64{{Act: pushsvc.ActViewed}: 1}); err == nil {
			t.Errorf("%s: %s", bad, text)
		}
	}
}
