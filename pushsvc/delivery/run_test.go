package delivery_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// TestRun sends one message to 1,200 subscribers of whom some are gone, some
// fail, and some need another try.
func TestRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	groups := []struct {
		kind       string
		n, tries   int
		reason     string
		stays, got bool
	}{
		{"broken", 10, 3, "server_error", true, false}, // first, so that one page waits for all of them
		{"busy", 60, 2, "", true, true},
		{"gone404", 70, 1, "", false, false},
		{"gone410", 50, 1, "", false, false},
		{"large", 20, 1, "too_large", true, false},
		{"bad", 30, 1, "bad_request", true, false},
		{"denied", 40, 1, "unauthorized", true, false},
		{"ok", 920, 1, "", true, true},
	}
	want := pushsvc.Progress{Audience: 1200, Failed: map[string]int64{}}
	subscribers := make(map[string][]subscriber)
	for _, g := range groups {
		subscribers[g.kind] = f.subscribe(siteA, g.kind, g.n)
		switch {
		case g.got:
			want.Accepted += int64(g.n)
		case g.reason != "":
			want.Failed[g.reason] += int64(g.n)
		default:
			want.Gone += int64(g.n)
		}
	}
	ttl := 3600
	m := f.message(siteA, time.Now(), pushsvc.Content{Title: "Sale & more", Body: "Now", URL: "/sale?a=1&b=2", TTL: &ttl, Urgency: "high", Topic: "sale"})
	e := f.engine(func(c *delivery.Config) { c.PageSize = 400 })
	row := f.done(m)
	if diff := cmp.Diff(want, row.Progress); diff != "" {
		t.Error(diff)
	}
	f.stop(e)
	left := f.remaining(siteA)
	for _, g := range groups {
		for _, s := range subscribers[g.kind] {
			posts := f.push.of(s.name)
			if len(posts) != g.tries {
				t.Errorf("%s got %d pushes, want %d", s.name, len(posts), g.tries)
			}
			if left[s.name] != g.stays {
				t.Errorf("%s remains: %v", s.name, left[s.name])
			}
			for _, p := range posts {
				f.checkPush(&s, p, m)
			}
		}
	}
	log := f.log.String()
	for _, s := range append(subscribers["broken"], subscribers["bad"]...) {
		if strings.Contains(log, s.name) {
			t.Fatalf("the log has an endpoint:\n%s", log)
		}
	}
	if n := strings.Count(log, "pushes fail"); n == 0 || n > 10 {
		t.Errorf("%d lines of failures, want one per service and reason:\n%s", n, log)
	}
}

// checkPush reads a push as browser and push service would.
func (f *fixture) checkPush(s *subscriber, p post, m pushsvc.Message) {
	f.Helper()
	got, id := s.read(f, p, f.secret)
	c := m.Content
	if got.ID != m.ID || id != s.ID || got.Notification.Title != c.Title || got.Notification.Navigate != c.URL || got.Notification.Body != c.Body {
		f.Errorf("%s (%d) reads %+v with the token of %d", s.name, s.ID, got, id)
	}
	if ttl, err := strconv.Atoi(p.header.Get("Ttl")); err != nil || ttl > c.TTLSeconds() || ttl < c.TTLSeconds()-60 {
		f.Errorf("TTL: %s", p.header.Get("Ttl"))
	}
	if p.header.Get("Urgency") != string(c.Urgency) || p.header.Get("Topic") != c.Topic {
		f.Errorf("header %v", p.header)
	}
	if auth := p.header.Get("Authorization"); !strings.HasPrefix(auth, "vapid t=") || !strings.Contains(auth, "k="+f.key.Public) {
		f.Errorf("Authorization is not of our key")
	}
}

// TestSites: a site's message goes to its own people, and what becomes of it
// there changes nothing elsewhere, not even for one browser in both.
func TestSites(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	mine := f.subscribe(siteA, "ok", 30)
	theirs := f.subscribe(siteB, "ok", 30)
	both := f.subscribe(siteA, "gone410", 1)[0]
	shared := both.Subscription
	shared.Site = siteB
	if _, err := f.store.PutSubscription(t.Context(), shared, nil); err != nil {
		t.Fatal(err)
	}
	m := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
	f.engine(func(c *delivery.Config) { c.PageSize = 7 })
	row := f.done(m)
	if row.Progress.Accepted != 30 || row.Progress.Gone != 1 || row.Progress.Audience != 31 {
		t.Errorf("%+v", row.Progress)
	}
	f.once(mine)
	for _, s := range theirs {
		if n := len(f.push.of(s.name)); n != 0 {
			t.Errorf("%s of another site got %d pushes", s.name, n)
		}
	}
	if a, b := len(f.remaining(siteA)), len(f.remaining(siteB)); a != 30 || b != 31 {
		t.Errorf("%d and %d subscriptions remain", a, b)
	}
}

// TestUntil: who subscribes after the request is not sent to; who leaves before
// their turn is counted as left.
func TestUntil(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	early := f.subscribe(siteA, "ok", 20)
	slices.SortFunc(early, func(a, b subscriber) int { return int(a.ID) - int(b.ID) })
	m := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
	late := f.subscribe(siteA, "ok", 20)
	f.unsubscribe(early[19])
	seen := make(chan struct{}, 100)
	goOn := make(chan struct{})
	f.push.onPush(func(string) { seen <- struct{}{}; <-goOn })
	f.engine(func(c *delivery.Config) { c.PageSize, c.Concurrency = 5, 5 })
	for range 5 {
		<-seen
	}
	f.unsubscribe(early[2])  // on its way already
	f.unsubscribe(early[7])  // on a later page
	f.unsubscribe(early[12]) // and on another
	close(goOn)
	row := f.done(m)
	want := pushsvc.Progress{Audience: 20, Accepted: 17, Left: 3, Failed: map[string]int64{}}
	if diff := cmp.Diff(want, row.Progress); diff != "" {
		t.Error(diff)
	}
	for i, s := range early {
		if n := len(f.push.of(s.name)); n != 1 && i != 7 && i != 12 && i != 19 || n > 1 {
			t.Errorf("early[%d] got %d pushes", i, n)
		}
	}
	for _, s := range late {
		if len(f.push.of(s.name)) != 0 {
			t.Errorf("%s subscribed after the message", s.name)
		}
	}
}

func (f *fixture) unsubscribe(s subscriber) {
	f.Helper()
	ok, err := f.store.DeleteProven(f.Context(), s.Site, pushsvc.Proof{Endpoint: s.Endpoint, Auth: s.Auth})
	if err != nil || !ok {
		f.Fatalf("unsubscribing %s: %v, %v", s.name, ok, err)
	}
}

// TestEverybodyLeft: a message to nobody ends.
func TestEverybodyLeft(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.subscribe(siteA, "ok", 1)[0]
	toOne := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
	f.unsubscribe(s)
	toNone := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
	f.engine(nil)
	if p := f.done(toOne).Progress; p.Audience != 1 || p.Left != 1 {
		t.Errorf("to one who left: %+v", p)
	}
	if p := f.done(toNone).Progress; p.Audience != 0 || p.Left != 0 {
		t.Errorf("to nobody: %+v", p)
	}
	if n := f.push.count(); n != 0 {
		t.Errorf("%d pushes", n)
	}
}

// TestTTL: a message ages in our queue.
func TestTTL(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.subscribe(siteA, "ok", 1)[0]
	f.engine(func(c *delivery.Config) { c.PageSize = 1 })
	for _, tt := range []struct {
		name     string
		age      time.Duration
		ttl      int
		min, max int // of the TTL header; 0, -1 for no push
	}{
		{"fresh", 0, 100, 40, 100},
		{"half its life", time.Minute, 120, 1, 60},
		{"out of date", time.Minute, 60, 0, -1},
		{"long out of date", 48 * time.Hour, 3600, 0, -1},
		{"now or never", time.Hour, 0, 0, 0},
		{"longest", 0, pushsvc.MaxTTL, pushsvc.MaxTTL - 60, pushsvc.MaxTTL},
		{"made in the future", -time.Hour, 60, 60, 60},
		{"longest, made in the future", -time.Hour, pushsvc.MaxTTL, pushsvc.MaxTTL, pushsvc.MaxTTL},
	} {
		before := len(f.push.of(s.name))
		row := f.done(f.message(siteA, time.Now().Add(-tt.age), pushsvc.Content{Title: "x", TTL: &tt.ttl}))
		posts := f.push.of(s.name)[before:]
		if tt.max < 0 {
			if len(posts) != 0 || row.Progress.Failed["expired"] != 1 {
				t.Errorf("%s: %d pushes, %+v", tt.name, len(posts), row.Progress)
			}
			continue
		}
		if len(posts) != 1 || row.Progress.Accepted != 1 {
			t.Errorf("%s: %d pushes, %+v", tt.name, len(posts), row.Progress)
			continue
		}
		if ttl, err := strconv.Atoi(posts[0].header.Get("Ttl")); err != nil || ttl < tt.min || ttl > tt.max {
			t.Errorf("%s: TTL: %s", tt.name, posts[0].header.Get("Ttl"))
		}
	}
}

// panicky is a sender with a fault.
type panicky struct{ delivery.Sender }

func (p panicky) Send(ctx context.Context, r *webpush.Request) webpush.Result {
	if strings.Contains(r.Endpoint, "/panic-") {
		panic("out of cheese")
	}
	return p.Sender.Send(ctx, r)
}

// TestFaults: a panic in the sender, a lost key and an endpoint that is no
// longer allowed are each one recipient's failure.
func TestFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ok := f.subscribe(siteA, "ok", 10)
	f.subscribe(siteA, "panic", 3)
	f.subscribeOne(siteA, "ok", "lost-key")
	refused := ok[0].Subscription
	refused.Endpoint = "https://10.0.0.1/fcm/send/x"
	if _, err := f.store.PutSubscription(t.Context(), refused, nil); err != nil {
		t.Fatal(err)
	}
	f.engine(func(c *delivery.Config) { c.Sender, c.PageSize = panicky{c.Sender}, 4 })
	row := f.done(f.message(siteA, time.Now(), pushsvc.Content{Title: "x"}))
	want := pushsvc.Progress{Audience: 15, Accepted: 10, Failed: map[string]int64{"internal": 3, "key_missing": 1, "endpoint_refused": 1}}
	if diff := cmp.Diff(want, row.Progress); diff != "" {
		t.Error(diff)
	}
	f.once(ok)
	if n := len(f.remaining(siteA)); n != 15 {
		t.Errorf("%d subscriptions remain of 15", n)
	}
	if log := f.log.String(); !strings.Contains(log, "out of cheese") || !strings.Contains(log, "stack=") {
		t.Errorf("the log does not tell of the panic:\n%s", log)
	}
}

// TestManyMessages: more messages than run side by side, two engines, and each
// subscriber gets each message once.
func TestManyMessages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 30)
	var messages []pushsvc.Message
	for range 12 {
		messages = append(messages, f.message(siteA, time.Now(), pushsvc.Content{Title: "x"}))
	}
	for range 2 {
		f.engine(func(c *delivery.Config) { c.Messages, c.PageSize = 2, 8 })
	}
	for _, m := range messages {
		if row := f.done(m); row.Progress.Accepted != 30 || row.Epoch != 1 {
			t.Errorf("epoch %d, %+v", row.Epoch, row.Progress)
		}
	}
	for _, s := range all {
		seen := make(map[string]int)
		for _, p := range f.push.of(s.name) {
			got, _ := s.read(t, p, f.secret)
			seen[got.ID]++
		}
		if len(seen) != 12 || len(f.push.of(s.name)) != 12 {
			t.Errorf("%s got %v", s.name, seen)
		}
	}
}

// TestWake: a sleeping engine starts at once when it is told.
func TestWake(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribe(siteA, "ok", 1)
	e := f.engine(func(c *delivery.Config) { c.Poll = time.Hour })
	for range 3 {
		time.Sleep(100 * time.Millisecond) // until it sleeps
		m := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
		time.Sleep(20 * time.Millisecond)
		if row := f.state(m); row.State != pushsvc.StateQueued {
			t.Fatalf("state %s before the engine is told", row.State)
		}
		e.Wake()
		f.done(m)
	}
}
