package delivery_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// TestRun sends one message to 1,200 subscribers: some are gone, some fail, and some need another
// try.
func TestRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	groups := []struct {
		kind       string
		n, tries   int
		reason     string
		stays, got bool
	}{
		{"broken", 4, 3, "server_error", true, false},
		{"busy", 60, 2, "", true, true},
		{"gone404", 70, 1, "", false, false},
		{"gone410", 50, 1, "", false, false},
		{"large", 20, 1, "too_large", true, false},
		{"bad", 30, 1, "bad_request", true, false},
		{"ok", 966, 1, "", true, true},
	}
	want := pushsvc.Progress{Audience: 1200, Failed: map[string]int64{}}
	subscribers := make(map[string][]subscriber)
	for _, g := range groups {
		switch {
		case g.got:
			want.Accepted += int64(g.n)
		case g.reason != "":
			want.Failed[g.reason] += int64(g.n)
		default:
			want.Gone += int64(g.n)
		}
	}
	for i := range 1200 { // mixed, as masses of the same would be quarantined
		for _, g := range groups {
			if i*g.n/1200 != (i+1)*g.n/1200 {
				host := fcm
				switch {
				case g.kind == "busy":
					host = apple // it concerns one device
				case i%2 == 0:
					host = mozilla
				}
				subscribers[g.kind] = append(subscribers[g.kind], f.subscribeTo(host, siteA, g.kind, 1)...)
			}
		}
	}
	ttl := 3600
	m := f.message(siteA, time.Now(), pushsvc.Content{Title: "Sale & more", Body: "Now", URL: "/sale?a=1&b=2", TTL: &ttl, Urgency: "high", Topic: "sale"})
	e := f.engine(func(c *delivery.Config) { c.Attempts = 3 })
	row := f.done(m)
	if diff := cmp.Diff(want, row.Progress); diff != "" {
		t.Error(diff)
	}
	f.stop(e)
	left := f.subscriptions(siteA)
	for _, g := range groups {
		for _, s := range subscribers[g.kind] {
			posts := f.push.pushesTo(s.name)
			if len(posts) != g.tries && g.kind != "busy" || g.kind == "busy" && len(posts) != 2 {
				t.Errorf("%s got %d pushes, want %d", s.name, len(posts), g.tries)
			}
			if _, stays := left[s.name]; stays != g.stays {
				t.Errorf("%s remains: %v", s.name, stays)
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
	if n := strings.Count(log, "pushes fail"); n == 0 || n > 8 {
		t.Errorf("%d lines of failures, want one per service and reason:\n%s", n, log)
	}
}

// checkPush reads a push as a browser and a push service would.
func (f *fixture) checkPush(s *subscriber, p post, m pushsvc.Message) {
	f.Helper()
	got, id := s.read(f, p, f.secret)
	c := m.Content
	if got.ID != m.ID || id != s.ID || got.Notification.Title != c.Title || strings.TrimPrefix(got.Notification.Navigate, "https://"+siteA) != c.URL || got.Notification.Body != c.Body {
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

// TestTopicAndTag: a message that names neither is its own topic and tag, so that a repeated push
// replaces the first; Apple accepts the topic.
func TestTopicAndTag(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := append(f.subscribeTo(apple, siteA, "ok", 2), f.subscribeTo(fcm, siteA, "ok", 2)...)
	first, second := f.message(siteA, time.Now(), pushsvc.Content{}), f.message(siteA, time.Now(), pushsvc.Content{})
	f.engine(nil)
	f.done(first)
	f.done(second)
	topics := make(map[string]map[string]bool) // by message
	for _, s := range all {
		for _, p := range f.push.pushesTo(s.name) {
			got, _ := s.read(t, p, f.secret)
			if got.Notification.Tag != got.ID {
				t.Errorf("tag %q of message %s", got.Notification.Tag, got.ID)
			}
			topic := p.header.Get("Topic")
			if _, err := base64.RawURLEncoding.DecodeString(topic); err != nil || len(topic) > 32 || topic == "" {
				t.Errorf("topic %q: %v", topic, err)
			}
			if topics[got.ID] == nil {
				topics[got.ID] = make(map[string]bool)
			}
			topics[got.ID][topic] = true
		}
	}
	if len(topics[first.ID]) != 1 || len(topics[second.ID]) != 1 || cmp.Equal(topics[first.ID], topics[second.ID]) {
		t.Errorf("topics %v", topics)
	}
}

// TestSites: a site's message goes to its own subscribers, and its results there change nothing in
// another site, not even for one browser in both.
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
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	f.engine(func(c *delivery.Config) { c.PageSize = 7 })
	row := f.done(m)
	if row.Progress.Accepted != 30 || row.Progress.Gone != 1 || row.Progress.Audience != 31 {
		t.Errorf("%+v", row.Progress)
	}
	f.once(mine)
	f.times(theirs, 0)
	if a, b := len(f.subscriptions(siteA)), len(f.subscriptions(siteB)); a != 30 || b != 31 {
		t.Errorf("%d and %d subscriptions remain", a, b)
	}
}

// TestUntil: a visitor who subscribes after the request is not sent to; a subscriber who leaves
// before their turn is counted as left.
func TestUntil(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	early := f.subscribe(siteA, "ok", 40)
	slices.SortFunc(early, func(a, b subscriber) int { return int(a.ID) - int(b.ID) })
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	late := f.subscribe(siteA, "ok", 20)
	f.unsubscribe(early[39])
	seen := make(chan struct{}, 100)
	goOn := make(chan struct{})
	f.push.onPush(func(string) { seen <- struct{}{}; <-goOn })
	f.engine(func(c *delivery.Config) { c.PageSize, c.Concurrency = 5, 5 })
	for range 2 {
		<-seen
	}
	f.unsubscribe(early[1])  // on its way already
	f.unsubscribe(early[22]) // on a later page
	f.unsubscribe(early[32]) // and on another
	close(goOn)
	row := f.done(m)
	want := pushsvc.Progress{Audience: 40, Accepted: 37, Left: 3, Failed: map[string]int64{}}
	if diff := cmp.Diff(want, row.Progress); diff != "" {
		t.Error(diff)
	}
	for i, s := range early {
		if n := len(f.push.pushesTo(s.name)); n != 1 && i != 22 && i != 32 && i != 39 || n > 1 {
			t.Errorf("early[%d] got %d pushes", i, n)
		}
	}
	f.times(late, 0)
}

// TestLeftWhileLater: a subscriber who leaves while they are to be tried again is counted as left.
func TestLeftWhileLater(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.subscribe(siteA, "broken", 1)[0]
	f.engine(nil)
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	f.eventually("they are tried", func() bool { return f.state(m).Progress.Later == 1 })
	f.unsubscribe(s)
	if p := f.done(m).Progress; p.Left != 1 {
		t.Errorf("%+v", p)
	}
}

// TestMoved: a subscriber who subscribes again while a push to their old endpoint is under way gets
// it at the new one, and the old endpoint's answer removes no subscription.
func TestMoved(t *testing.T) {
	t.Parallel()
	for _, old := range []string{"ok", "gone410", "broken"} {
		t.Run(old, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			before := f.subscribe(siteA, old, 1)[0]
			m := f.message(siteA, time.Now(), pushsvc.Content{})
			next := before.Subscription
			next.Endpoint = "https://" + mozilla + "/push/v2/ok-next"
			_, _ = rand.Read(next.Auth[:])
			f.push.onPush(func(name string) {
				if name != before.name {
					return
				}
				if _, err := f.store.PutSubscription(context.Background(), next, &pushsvc.Proof{Endpoint: before.Endpoint, Auth: before.Auth}); err != nil {
					t.Error(err)
				}
			})
			f.engine(nil)
			want := pushsvc.Progress{Audience: 1, Accepted: 1, Failed: map[string]int64{}}
			if diff := cmp.Diff(want, f.done(m).Progress); diff != "" {
				t.Error(diff)
			}
			pushes := 1
			if old == "ok" {
				pushes = 0 // they have it already
			}
			if n := len(f.push.pushesTo("ok-next")); n != pushes {
				t.Errorf("%d pushes to the new endpoint, not %d", n, pushes)
			}
			if _, there := f.subscriptions(siteA)["ok-next"]; !there {
				t.Error("the new subscription has been removed")
			}
		})
	}
}

// TestRotatedMeanwhile: a key becomes current while a message is being sent, and a
// recipient who has not had their turn subscribes again with it.
func TestRotatedMeanwhile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 20)
	last := all[len(all)-1]
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	var once sync.Once
	f.push.onPush(func(string) {
		once.Do(func() {
			key, err := newKey()
			if err == nil {
				key, err = f.store.ImportKey(context.Background(), key, true)
			}
			again := last.Subscription
			again.KeyID = key.ID
			if err == nil {
				_, err = f.store.PutSubscription(context.Background(), again, nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
	})
	f.engine(func(c *delivery.Config) { c.PageSize, c.Concurrency = 1, 1 })
	want := pushsvc.Progress{Audience: 20, Accepted: 20, Failed: map[string]int64{}}
	if diff := cmp.Diff(want, f.done(m).Progress); diff != "" {
		t.Error(diff)
	}
	if n := len(f.push.pushesTo(last.name)); n != 1 {
		t.Errorf("%d pushes to the one who subscribed again", n)
	}
}

// TestEverybodyLeft: a message without recipients ends.
func TestEverybodyLeft(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.subscribe(siteA, "ok", 1)[0]
	toOne := f.message(siteA, time.Now(), pushsvc.Content{})
	f.unsubscribe(s)
	toNone := f.message(siteA, time.Now(), pushsvc.Content{})
	f.engine(nil)
	if p := f.done(toOne).Progress; p.Audience != 1 || p.Left != 1 {
		t.Errorf("to one who left: %+v", p)
	}
	if p := f.done(toNone).Progress; p.Audience != 0 || p.Left != 0 {
		t.Errorf("without recipients: %+v", p)
	}
	if n := f.push.count(); n != 0 {
		t.Errorf("%d pushes", n)
	}
}

// TestOnly: a test message goes to one subscription.
func TestOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 20)
	f.engine(nil)
	row := f.done(f.create(pushsvc.Message{Site: siteA, Only: all[7].ID}))
	if row.Progress.Audience != 1 || row.Progress.Accepted != 1 || f.push.count() != 1 || len(f.push.pushesTo(all[7].name)) != 1 {
		t.Errorf("%d pushes, %+v", f.push.count(), row.Progress)
	}
}

// TestTTL: a message's time to live runs in our queue, from its time to be sent.
func TestTTL(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.subscribe(siteA, "ok", 1)[0]
	f.engine(nil)
	now := time.Now()
	for _, tt := range []struct {
		name      string
		age, wait time.Duration // since it was made, and from then until it was to be sent
		ttl       int
		min, max  int // of the TTL header; 0, -1 for no push
	}{
		{"fresh", 0, 0, 100, 40, 100},
		{"half its life", time.Minute, 0, 120, 1, 60},
		{"out of date", time.Minute, 0, 60, 0, -1},
		{"long out of date", 48 * time.Hour, 0, 3600, 0, -1},
		{"made long ago for now", 48 * time.Hour, 48*time.Hour - time.Second, 3600, 3500, 3599},
		{"scheduled and out of date", 48 * time.Hour, 46 * time.Hour, 3600, 0, -1},
		{"now or never", time.Hour, 0, 0, 0, 0},
		{"now or never, a day ago", 25 * time.Hour, 0, 0, 0, -1},
		{"longest", 0, 0, pushsvc.MaxTTL, pushsvc.MaxTTL - 60, pushsvc.MaxTTL},
		{"made in the future", -time.Hour, 0, 60, 60, 60},
		{"longest, made in the future", -time.Hour, 0, pushsvc.MaxTTL, pushsvc.MaxTTL, pushsvc.MaxTTL},
	} {
		before := len(f.push.pushesTo(s.name))
		m := pushsvc.Message{Site: siteA, Created: now.Add(-tt.age), Content: pushsvc.Content{TTL: &tt.ttl}}
		if tt.wait > 0 {
			m.SendAt = m.Created.Add(tt.wait)
		}
		row := f.done(f.create(m))
		posts := f.push.pushesTo(s.name)[before:]
		if tt.max < 0 {
			if len(posts) != 0 || row.Progress.Expired != 1 {
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

// TestExpiresWhileLater: a recipient who is to be tried again after the end of the message's time
// to live is not tried, and counts as expired.
func TestExpiresWhileLater(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribeTo(fcm, siteA, "broken", 3)
	ttl := 1
	f.engine(func(c *delivery.Config) { c.Attempts, c.RetryMin = 100, 300*time.Millisecond })
	if p := f.done(f.message(siteA, time.Now(), pushsvc.Content{TTL: &ttl})).Progress; p.Expired != 3 || p.Reasons["server_error"] != 3 {
		t.Errorf("%+v", p)
	}
	if n := f.push.count(); n < 3 || n > 12 {
		t.Errorf("%d pushes", n)
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
	f.subscribeAt(siteA, "ok", "lost-key", fcm)
	refused := ok[0].Subscription
	refused.Endpoint = "https://10.0.0.1/fcm/send/x"
	if _, err := f.store.PutSubscription(t.Context(), refused, nil); err != nil {
		t.Fatal(err)
	}
	e := f.engine(func(c *delivery.Config) { c.Sender, c.PageSize, c.Concurrency = panicky{c.Sender}, 4, 2 })
	row := f.done(f.message(siteA, time.Now(), pushsvc.Content{}))
	want := pushsvc.Progress{Audience: 15, Accepted: 10, Failed: map[string]int64{"internal": 3, "key_missing": 1, "endpoint_refused": 1}}
	if diff := cmp.Diff(want, row.Progress); diff != "" {
		t.Error(diff)
	}
	f.once(ok)
	if n := len(f.subscriptions(siteA)); n != 15 {
		t.Errorf("%d subscriptions remain of 15", n)
	}
	if log := f.log.String(); !strings.Contains(log, "out of cheese") || !strings.Contains(log, "stack=") {
		t.Errorf("the log does not tell of the panic:\n%s", log)
	}
	f.eventually("nothing is under way", func() bool { return e.Stats().InFlight == 0 && e.Stats().Running == 0 })
}
