package pushsvc_test

import (
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		in, out string
		want    time.Duration
	}{
		{"7d", "7d", 7 * day},
		{"36h", "1d12h", 36 * time.Hour},
		{"1d12h", "1d12h", 36 * time.Hour},
		{"90s", "1m30s", 90 * time.Second},
		{"1h0m5s", "1h5s", time.Hour + 5*time.Second},
		{"1.5s", "1.5s", 1500 * time.Millisecond},
		{"0s", "0s", 0},
		{"0d", "0s", 0},
		{"9999d", "9999d", 9999 * day},
	} {
		got, err := pushsvc.ParseDuration(tt.in)
		if err != nil || got != tt.want || pushsvc.FormatDuration(got) != tt.out {
			t.Errorf("%q is %v, %v, written %q; want %v, %q", tt.in, got, err, pushsvc.FormatDuration(got), tt.want, tt.out)
		}
	}
	for _, in := range []string{"", "7", "d", "-7d", "-1s", "1d-1s", "1d+1s", "+1d", "10000d", "9999d24h", "99999999999d", "1dd", "1d2d", "7 d", "soon", "1.5d", "2562047h"} {
		if got, err := pushsvc.ParseDuration(in); err == nil {
			t.Errorf("%q is %v", in, got)
		}
	}
}

// FuzzDuration: an accepted duration is in the range, and survives formatting.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"7d", "1d12h", "1h2m3.004s", "9999d23h59m59s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := pushsvc.ParseDuration(s)
		if err != nil {
			return
		}
		if again, err := pushsvc.ParseDuration(pushsvc.FormatDuration(d)); err != nil || again != d || d < 0 || d >= 10_000*24*time.Hour {
			t.Errorf("%q is %v, and written %q %v, %v", s, d, pushsvc.FormatDuration(d), again, err)
		}
	})
}
