package delivery_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
)

// choose has a subscriber choose topics.
func (f *fixture) choose(s subscriber, ids ...string) {
	f.Helper()
	s.Topics = append([]string{}, ids...)
	if _, err := f.store.PutSubscription(context.Background(), s.Subscription, nil); err != nil {
		f.Fatal(err)
	}
}

// TestTopics: a message with topics reaches the subscribers who have chosen any of them, and the
// others are not its recipients.
func TestTopics(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 3)
	f.choose(all[0], "deals")
	f.choose(all[1], "news", "sport")
	f.engine(nil)
	m := f.done(f.create(pushsvc.Message{Site: siteA, Topics: []string{"news", "weather"}}))
	if diff := cmp.Diff(pushsvc.Progress{Audience: 1, Accepted: 1, Failed: map[string]int64{}}, m.Progress); diff != "" {
		t.Error(diff)
	}
	f.once(all[1:2])
	f.times([]subscriber{all[0], all[2]}, 0)
	// Without topics it is for all, including those who have chosen none.
	f.done(f.message(siteA, time.Now(), pushsvc.Content{}))
	f.times(all[1:2], 2)
	f.once([]subscriber{all[0], all[2]})
	// Without recipients, it ends.
	if p := f.done(f.create(pushsvc.Message{Site: siteA, Topics: []string{"unknown"}})).Progress; p.Audience != 0 || p.Settled() != 0 {
		t.Errorf("%+v", p)
	}
}

// TestTopicsOfMany: the sums hold over pages, ranges and checkpoints; those who are passed over do
// not keep others waiting.
func TestTopicsOfMany(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 3000)
	var chosen, others []subscriber
	for i, s := range all {
		if i%7 == 0 {
			f.choose(s, "news")
			chosen = append(chosen, s)
		} else {
			others = append(others, s)
		}
	}
	f.engine(func(c *delivery.Config) { c.PageSize, c.CheckpointSize = 100, 50 })
	m := f.done(f.create(pushsvc.Message{Site: siteA, Topics: []string{"news"}}))
	if p := m.Progress; p.Audience != int64(len(chosen)) || p.Accepted != p.Audience {
		t.Errorf("%+v, want %d", p, len(chosen))
	}
	f.once(chosen)
	f.times(others, 0)
}

// TestTopicsChanged: a recipient who withdraws a choice while they are to be tried again is passed
// over.
func TestTopicsChanged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.subscribe(siteA, "broken", 1)[0]
	f.choose(s, "news")
	f.engine(nil)
	m := f.create(pushsvc.Message{Site: siteA, Topics: []string{"news"}})
	f.eventually("they are tried", func() bool { return f.state(m).Progress.Later == 1 })
	f.choose(s)
	if p := f.done(m).Progress; p.Audience != 0 || p.Settled() != 0 {
		t.Errorf("%+v", p)
	}
}
