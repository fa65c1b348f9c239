package delivery_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
)

// mixesEnv asks for the table of DESIGN.md: "all", or names of kinds, each followed by a semicolon.
// sharesEnv is for some of its columns, in percent.
const (
	mixesEnv  = "WEBPUSH_TEST_MIXES"
	sharesEnv = "WEBPUSH_TEST_SHARES"
)

// kinds are what made-up subscriptions answer, at the host of good ones.
var kinds = []struct {
	name   string
	answer func(http.ResponseWriter, *http.Request, int)
}{
	{"429", status(429)},
	{"429, 1 s", status(429, retry, "1")},
	{"429, 60 s", status(429, retry, "60")},
	{"429, a year", status(429, retry, "31536000")},
	{"503", status(503)},
	{"503, 60 s", status(503, retry, "60")},
	{"503, a date in 2099", status(503, retry, "Thu, 01 Jan 2099 00:00:00 GMT")},
	{"500", status(500)},
	{"401", status(401)},
	{"403", status(403)},
	{"400", status(400)},
	{"302", status(302, "Location", "https://other.example/")},
	{"404", status(404)},
	{"413", status(413)},
	{"reset", func(http.ResponseWriter, *http.Request, int) { panic(http.ErrAbortHandler) }},
	{"hang", func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() }},
	{"429 after 3 s", func(w http.ResponseWriter, r *http.Request, _ int) {
		select {
		case <-time.After(3 * time.Second):
		case <-r.Context().Done():
		}
		status(429, retry, "600")(w, r, 0)
	}},
}

// mix is good and made-up subscriptions at one push service.
type mix struct {
	*fixture
	good, bad int
	answer    func(http.ResponseWriter, *http.Request, int)

	mu       sync.Mutex
	reached  map[string]int // good ones, and how often
	attempts map[string]int // made-up ones
	finished time.Time      // when the last good one was reached
}

// newMix subscribes them; place returns the position of the made-up ones among all, from how many
// there are of both.
func newMix(t testing.TB, good, bad int, answer func(http.ResponseWriter, *http.Request, int), place func(good, bad int) []bool) *mix {
	t.Helper()
	m := &mix{fixture: newFixture(t), good: good, bad: bad, answer: answer, reached: make(map[string]int), attempts: make(map[string]int)}
	template := m.subscribeAt(siteB, "ok", m.key.ID, fcm).Subscription
	subs := make([]pushsvc.Subscription, 0, good+bad)
	for i, isBad := range place(good, bad) {
		kind := "ok"
		if isBad {
			kind = "made"
		}
		s := template
		s.Site, s.Endpoint = siteA, fmt.Sprintf("https://%s/push/v2/%s-%d", fcm, kind, i)
		subs = append(subs, s)
	}
	if _, err := m.store.ImportSubscriptions(t.Context(), siteA, subs); err != nil {
		t.Fatal(err)
	}
	m.push.respondWith(m.respond)
	return m
}

func (m *mix) respond(w http.ResponseWriter, r *http.Request, name string, nth int) {
	m.mu.Lock()
	isBad := strings.HasPrefix(name, "made")
	if isBad {
		m.attempts[name] = nth
	} else {
		m.reached[name] = nth
		if len(m.reached) == m.good && m.finished.IsZero() {
			m.finished = time.Now()
		}
	}
	m.mu.Unlock()
	if isBad {
		m.answer(w, r, nth)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// took waits until all good ones are reached, for at most the time most, and returns how long it
// took; false if some were not reached.
func (m *mix) took(begun time.Time, most time.Duration) (time.Duration, bool) {
	for {
		m.mu.Lock()
		finished := m.finished
		m.mu.Unlock()
		switch {
		case !finished.IsZero():
			return finished.Sub(begun), true
		case time.Since(begun) > most:
			return time.Since(begun), false
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// check checks how many pushes each got.
func (m *mix) check(mostAttempts int) {
	m.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, n := range m.reached {
		if n != 1 {
			m.Errorf("%s got %d pushes", name, n)
		}
	}
	for name, n := range m.attempts {
		if n > mostAttempts {
			m.Errorf("%s was tried %d times", name, n)
		}
	}
}

// start sends a message as an engine of a site does, with its own times.
func (m *mix) start() time.Time {
	m.Helper()
	begun := time.Now()
	m.message(siteA, begun, pushsvc.Content{})
	m.engine(func(c *delivery.Config) {
		*c = delivery.Config{Store: c.Store, Sender: c.Sender, Logger: c.Logger, Clock: c.Clock, Owner: c.Owner, Contact: c.Contact}
	})
	return begun
}

// scattered puts the made-up ones anywhere, the first and the last in a row.
func scattered(good, bad int) []bool {
	all := inFront(good, bad)
	rand.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all
}

func inFront(good, bad int) []bool {
	all := make([]bool, good+bad)
	for i := range bad {
		all[i] = true
	}
	return all
}

func inTheMiddle(good, bad int) []bool {
	all := make([]bool, good+bad)
	for i := range bad {
		all[good/2+i] = true
	}
	return all
}

// TestMadeUp: subscriptions that answer whatever they like cost the others at the same push service
// only their own attempts, whether they are scattered or in a row.
func TestMadeUp(t *testing.T) {
	if os.Getenv(mixesEnv) != "" {
		t.Skip("TestMixes has them all")
	}
	places := []struct {
		name  string
		place func(int, int) []bool
	}{{"in front", inFront}, {"scattered", scattered}, {"in the middle", inTheMiddle}}
	for i, k := range kinds {
		for n, p := range places {
			if n > 0 && i%3 != n { // each kind in front, and every third elsewhere
				continue
			}
			t.Run(k.name+" "+p.name, func(t *testing.T) {
				t.Parallel()
				m := newMix(t, 1000, 100, k.answer, p.place)
				begun := m.start()
				took, all := m.took(begun, 40*time.Second)
				if !all {
					t.Errorf("after %v only %d of %d good ones are reached; log:\n%s", took, len(m.reached), m.good, m.log)
				}
				t.Logf("%v", took)
				m.check(4)
			})
		}
	}
}

// TestNowAndThen: a push service that refuses one of a hundred by chance delays no push.
func TestNowAndThen(t *testing.T) {
	t.Parallel()
	m := newMix(t, 100, 0, nil, scattered)
	m.push.respondWith(func(w http.ResponseWriter, r *http.Request, _ string, nth int) {
		if n := rand.IntN(1000); n < 13 {
			status([]int{429, 503}[n%2], retry, "1")(w, r, nth)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	var all []pushsvc.Message
	for range 80 {
		all = append(all, m.message(siteA, time.Now(), pushsvc.Content{}))
	}
	begun := m.start()
	for _, msg := range all {
		if p := m.done(msg).Progress; p.Accepted != 100 {
			t.Errorf("%+v", p)
		}
	}
	if took := time.Since(begun); took > 40*time.Second {
		t.Errorf("80 messages took %v", took)
	} else {
		t.Logf("80 messages took %v", took)
	}
}

// TestMixes prints DESIGN.md's table.
func TestMixes(t *testing.T) {
	wanted := os.Getenv(mixesEnv)
	if wanted == "" {
		t.Skip(mixesEnv + " is not set")
	}
	shares := os.Getenv(sharesEnv)
	if shares == "" {
		shares = "0 0.1 1 10 50 90 100"
	}
	const good = 3000
	for _, k := range kinds {
		if wanted != "all" && !strings.Contains(";"+wanted, ";"+k.name+";") {
			continue
		}
		for _, p := range []struct {
			name  string
			place func(int, int) []bool
		}{{"scattered", scattered}, {"in a row", inFront}} {
			line := fmt.Sprintf("| %s | %s |", k.name, p.name)
			for _, text := range strings.Split(shares, " ") {
				percent, err := strconv.ParseFloat(text, 64)
				if err != nil {
					t.Fatal(err)
				}
				t.Run(k.name+"/"+p.name+"/"+text, func(t *testing.T) {
					if percent == 100 {
						m := newMix(t, 0, good, k.answer, p.place)
						m.start()
						time.Sleep(8 * time.Second)
						m.mu.Lock()
						defer m.mu.Unlock()
						line += fmt.Sprintf(" %d asked |", len(m.attempts))
						return
					}
					m := newMix(t, good, int(good*percent/(100-percent)), k.answer, p.place)
					took, all := m.took(m.start(), 3*time.Minute)
					if line += fmt.Sprintf(" %.1f |", took.Seconds()); !all {
						line += fmt.Sprintf(" (%d)", len(m.reached))
					}
				})
			}
			fmt.Println(line)
		}
	}
}
