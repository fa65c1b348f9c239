package httpapi_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"
)

// welch is Welch's t of two samples.
func welch(a, b []float64) float64 {
	mean := func(x []float64) (m, v float64) {
		for _, f := range x {
			m += f / float64(len(x))
		}
		for _, f := range x {
			v += (f - m) * (f - m) / float64(len(x)-1)
		}
		return m, v / float64(len(x))
	}
	ma, va := mean(a)
	mb, vb := mean(b)
	return (ma - mb) / math.Sqrt(va+vb)
}

// stopwatchEnv asks for the comparison of times. It needs an idle machine: WEBPUSH_TEST_STOPWATCH=1
// go test ./pushsvc/httpapi -run TestKnownByTime -v
const stopwatchEnv = "WEBPUSH_TEST_STOPWATCH"

// leastAnswer is the least time of each of these answers: times are multiples of it, which hides
// differences in the work.
const leastAnswer = 10 * time.Millisecond

// TestKnownByTime: a client that knows an endpoint, but not its secret, learns neither from answers
// nor from their times whether it is subscribed.
func TestKnownByTime(t *testing.T) {
	f := newFixture(t)
	timed := os.Getenv(stopwatchEnv) != ""
	pairs := 20
	if timed {
		pairs = 150
	}
	for _, tt := range []struct {
		action string
		body   func(known browser, n int) string
	}{
		{"subscribe", func(b browser, n int) string {
			other := newBrowser(t, 0)
			other.endpoint = b.endpoint
			return other.json("")
		}},
		{"subscribe", func(b browser, n int) string {
			other := newBrowser(t, 0)
			other.endpoint = b.endpoint
			return other.json(`,"defaultTopics":["news"]`)
		}},
		{"unsubscribe", func(b browser, n int) string {
			other := newBrowser(t, 0)
			other.endpoint = b.endpoint
			return other.proof()
		}},
	} {
		var known, unknown []float64
		for n := range pairs {
			b := newBrowser(t, n)
			b.endpoint = fmt.Sprint("https://fcm.googleapis.com/fcm/send/known", tt.action, n)
			if a := f.post(siteA, "subscribe", b.json(`,"topics":["deals"]`)); a.status != 201 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			stranger := newBrowser(t, n)
			stranger.endpoint = fmt.Sprint("https://fcm.googleapis.com/fcm/send/other", tt.action, time.Now().UnixNano())
			measure := func(b browser) (answer, float64) {
				body := tt.body(b, n)
				start := time.Now()
				a := f.post(siteA, tt.action, body)
				return a, time.Since(start).Seconds()
			}
			k, took := measure(b)
			known = append(known, took)
			u, took := measure(stranger)
			unknown = append(unknown, took)
			if k.status != u.status || k.body != u.body {
				t.Fatalf("%s: %d %s of a known one, %d %s of another", tt.action, k.status, k.body, u.status, u.body)
			}
		}
		if least := time.Duration(min(slices.Min(known), slices.Min(unknown)) * float64(time.Second)); least < leastAnswer {
			t.Errorf("%s is answered after %v, before a step is over", tt.action, least)
		}
		if !timed {
			continue
		}
		if tv := welch(known, unknown); math.Abs(tv) > 4.5 {
			t.Errorf("the time of %s distinguishes known from unknown endpoints: t is %.1f", tt.action, tv)
		} else {
			t.Logf("%s: t is %.1f", tt.action, tv)
		}
	}
}
