package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

func init() { caddytest.ActAsCaddy(new(caddytest.OneAddress)) }

// pushCounter is a push service that records the posts of each message to each
// subscription. It identifies a message by its collapse key.
type pushCounter struct {
	mu    sync.Mutex
	kills int
	posts map[string][]int // "<message> <endpoint's path>": after how many kills
	open  atomic.Int64
}

func (s *pushCounter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.open.Add(1)
	defer s.open.Add(-1)
	_, _ = io.Copy(io.Discard, r.Body)
	time.Sleep(time.Duration(1+rand.IntN(8)) * time.Millisecond)
	s.mu.Lock()
	key := r.Header.Get("Topic") + " " + r.URL.Path
	s.posts[key] = append(s.posts[key], s.kills)
	s.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}

// killed records a kill of the server. Its pushes may still arrive after that.
func (s *pushCounter) killed() {
	time.Sleep(20 * time.Millisecond)
	for s.open.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kills++
}

// repeats counts the repeated posts, by the number of the kill between them.
// Those repeated by one process are under -1.
func (s *pushCounter) repeats() map[int]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[int]int{}
	for _, posts := range s.posts {
		for i := range len(posts) - 1 {
			if posts[i] == posts[i+1] {
				counts[-1]++
			} else {
				counts[posts[i]]++
			}
		}
	}
	return counts
}

// crowd is all clients of the server while it is killed. Everything acknowledged
// to one of them must be stored at the end.
type crowd struct {
	*process
	push   *pushCounter
	client http.Client
	stop   chan struct{}
	// acks counts acknowledgements of all kinds.
	acks atomic.Int64

	mu       sync.Mutex
	subs     map[string]bool     // endpoint's path: subscribed, false once unsubscribed
	messages map[string][]string // collapse key: the recipients
	counts   map[string]int      // operator's actions, by kind
	fault    error
}

// mixedSite is a site with everything that a kill can interrupt.
const mixedSite = "http://localhost:8080 {\n\twebpush\n\trespond \"<!doctype html><title>x</title>\"\n}\n"

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{
		push: &pushCounter{posts: map[string][]int{}}, stop: make(chan struct{}),
		subs: map[string]bool{}, messages: map[string][]string{}, counts: map[string]int{},
	}
	c.process = newProcess(t, mixedSite, t.TempDir())
	c.SendTo(c.push)
	c.client.Timeout = 20 * time.Second
	return c
}

// until repeats a request until the answer has one of the statuses.
func (c *crowd) until(ask func() (*http.Response, error), statuses ...int) (string, error) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		resp, err := ask()
		if err == nil {
			body, readErr := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			for _, status := range statuses {
				if resp.StatusCode == status && readErr == nil {
					c.acks.Add(1)
					return string(body), nil
				}
			}
			if err = readErr; err == nil {
				err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
			}
			if resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
				return "", err
			}
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("not acknowledged within a minute: %w", err)
		}
	}
}

func (c *crowd) visit(path, body string, statuses ...int) (string, error) {
	return c.until(func() (*http.Response, error) {
		r, err := http.NewRequest(http.MethodPost, c.URL+path, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Host = c.Host()
		for k, v := range caddytest.Posting {
			r.Header.Set(k, v)
		}
		return c.client.Do(r)
	}, statuses...)
}

func (c *crowd) operate(method, path, body, idempotency string, statuses ...int) (string, error) {
	return c.until(func() (*http.Response, error) {
		r, err := http.NewRequest(method, fmt.Sprintf("http://localhost:%d/webpush%s", c.Admin, path), strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/json")
		if idempotency != "" {
			r.Header.Set("Idempotency-Key", idempotency)
		}
		return c.client.Do(r)
	}, statuses...)
}

// loop repeats an action until the end. An error ends the test.
func (c *crowd) loop(wg *sync.WaitGroup, pause time.Duration, do func(n int) error) {
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-c.stop:
				return
			case <-time.After(pause):
			}
			if err := do(n); err != nil {
				c.mu.Lock()
				if c.fault == nil {
					c.fault = err
				}
				c.mu.Unlock()
				return
			}
		}
	})
}

// lasting is how many subscriptions of each subscriber stay.
const lasting = 100

// subscribers subscribe. The first ones stay; later, each new one replaces the
// one before.
func (c *crowd) subscribers(wg *sync.WaitGroup, who int) {
	last, lastBody := "", ""
	c.loop(wg, 5*time.Millisecond, func(n int) error {
		path := fmt.Sprintf("/wpush/%d-%d", who, n)
		body := caddytest.Subscription(c.T, "https://push.webpush.test"+path)
		if _, err := c.visit("/_webpush/subscribe", body, http.StatusCreated); err != nil {
			return fmt.Errorf("subscribing: %w", err)
		}
		c.mu.Lock()
		c.subs[path] = true
		if n > lasting {
			c.subs[last] = false // from here on it may be removed
		}
		c.mu.Unlock()
		leaving := lastBody
		last, lastBody = path, body
		if n <= lasting {
			return nil
		}
		_, err := c.visit("/_webpush/unsubscribe", leaving, http.StatusNoContent)
		return err
	})
}

// senders send to all present subscribers.
func (c *crowd) senders(wg *sync.WaitGroup) {
	c.loop(wg, 300*time.Millisecond, func(n int) error {
		key := fmt.Sprintf("m%d", n)
		c.mu.Lock()
		for path, subscribed := range c.subs {
			if subscribed {
				c.messages[key] = append(c.messages[key], path)
			}
		}
		owed := len(c.messages[key])
		c.mu.Unlock()
		if owed == 0 {
			return nil
		}
		_, err := c.operate(http.MethodPost, "/sites/"+c.Host()+"/messages", fmt.Sprintf(`{"title":"x","topic":%q}`, key), key, 202, 200)
		return err
	})
}

// operators run actions on the whole store.
func (c *crowd) operators(wg *sync.WaitGroup) {
	did := func(kind string, err error) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.counts[kind]++
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		return nil
	}
	c.loop(wg, 700*time.Millisecond, func(int) error {
		_, err := c.operate(http.MethodPost, "/compact", "", "", 200)
		return did("compactions", err)
	})
	c.loop(wg, 500*time.Millisecond, func(int) error {
		_, err := c.operate(http.MethodGet, "/backup", "", "", 200)
		return did("backups", err)
	})
	c.loop(wg, 2*time.Second, func(int) error {
		_, err := c.operate(http.MethodPost, "/keys/rotate", "", "", 201)
		return did("rotations", err)
	})
}

// TestKillMixed kills the server with -9 while visitors subscribe, unsubscribe,
// post events and report pop-ups, and operators send, compact, back up and rotate
// the key. At the end everything acknowledged is stored once, each message has
// reached all its recipients, and the number of repeated pushes is at most the
// number in flight.
func TestKillMixed(t *testing.T) {
	kills := 3
	if text := os.Getenv(killsEnv); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	c := newCrowd(t)
	c.Start()
	if _, err := c.operate(http.MethodPost, "/sites/"+c.Host()+"/popups", `{"id":"sale","kind":"banner","state":"running","content":{"title":"Sale"}}`, "", 201); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var acknowledged atomic.Int64
	posters, errs := make([]*poster, 3), make([]error, 3)
	for i := range posters {
		posters[i] = newPoster(c.process, uint64(i), 10)
		wg.Go(func() { errs[i] = posters[i].run(c.stop, &acknowledged) })
	}
	for i := range 3 {
		c.subscribers(&wg, i)
	}
	views := c.reporters(&wg)
	c.senders(&wg)
	c.operators(&wg)
	for range kills {
		until := c.acks.Load() + 20 + rand.Int64N(100)
		for deadline := time.Now().Add(time.Minute); c.acks.Load() < until && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		c.Kill()
		c.push.killed()
		c.Start()
	}
	close(c.stop)
	wg.Wait()
	for _, err := range append(errs, c.fault) {
		if err != nil {
			t.Fatalf("%v\n%s", err, c.Log)
		}
	}
	c.checkAll(posters, views.Load())
	repeated, worst := 0, 0
	for kill, n := range c.push.repeats() {
		if repeated, worst = repeated+n, max(worst, n); kill < 0 || n > inFlight {
			t.Errorf("kill %d: %d pushes were repeated", kill, n)
		}
	}
	t.Logf("%d kills; %d acknowledged, %d subscribed, %d messages, %d pushes, %d repeated, at most %d by one kill; %v",
		kills, c.acks.Load()+acknowledged.Load(), len(c.subs), len(c.messages), len(c.push.posts), repeated, worst, c.counts)
	c.Terminate()
	if strings.Contains(c.Log.String(), "damage") {
		t.Errorf("the store is damaged:\n%s", c.Log)
	}
}

// inFlight is how many pushes to one push service may run at once: three quarters
// of the engine's default concurrency.
const inFlight = 384

// reporters are visitors who see the pop-up and report it. The counter counts
// acknowledged reports.
func (c *crowd) reporters(wg *sync.WaitGroup) *atomic.Int64 {
	views := new(atomic.Int64)
	c.loop(wg, 20*time.Millisecond, func(n int) error {
		v := &postingVisitor{}
		b := newPoster(c.process, 1000+uint64(n), 1)
		v.session = b.random16()
		batch := func(entry string) string {
			return fmt.Sprintf(`{"batch":%q,"session":%q,"sent":%d,"events":[%s]}`, b.random16(), v.session, time.Now().UnixMilli(), entry)
		}
		if err := b.post(v, batch(fmt.Sprintf(`{"type":"event","name":"Seen","time":%d}`, time.Now().UnixMilli()))); err != nil {
			return err
		}
		var answer struct {
			Popups []struct{ ID, Variant, Token string }
		}
		text, err := c.until(func() (*http.Response, error) {
			r, err := http.NewRequest(http.MethodPost, c.URL+"/_webpush/messages", strings.NewReader(`{"page":{"path":"/"}}`))
			if err != nil {
				return nil, err
			}
			r.Host = c.Host()
			for k, value := range caddytest.Posting {
				r.Header.Set(k, value)
			}
			r.Header.Set("Cookie", v.cookie)
			return c.client.Do(r)
		}, http.StatusOK)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil || len(answer.Popups) != 1 {
			return fmt.Errorf("pop-ups: %s: %w", text, err)
		}
		p := answer.Popups[0]
		if err := b.post(v, batch(fmt.Sprintf(`{"type":"popup","act":"viewed","popup":%q,"variant":%q,"token":%q,"time":%d}`, p.ID, p.Variant, p.Token, time.Now().UnixMilli()))); err != nil {
			return err
		}
		views.Add(1)
		c.acks.Add(1)
		return nil
	})
	return views
}

// checkAll checks everything acknowledged.
func (c *crowd) checkAll(posters []*poster, views int64) {
	c.T.Helper()
	want := map[string]int64{}
	for _, b := range posters {
		for name, n := range b.want {
			want[name] += n
		}
	}
	var site struct {
		Events []struct {
			Name  string
			Count int64
		}
	}
	c.apiJSON("/events", &site)
	have := map[string]int64{}
	for _, e := range site.Events {
		have[e.Name] = e.Count
	}
	for name, n := range want {
		if have[name] != n {
			c.T.Errorf("%s: %d are counted of %d", name, have[name], n)
		}
	}
	var stats struct {
		Variants []struct {
			Viewed int64
		}
	}
	c.apiJSON("/popups/sale/stats", &stats)
	if n := len(stats.Variants); n != 1 || stats.Variants[0].Viewed != views {
		c.T.Errorf("pop-up: %+v, %d were seen", stats, views)
	}
	c.checkSubscribers()
	c.checkMessages()
}

// checkSubscribers compares the export with the subscribers.
func (c *crowd) checkSubscribers() {
	c.T.Helper()
	out := c.OK("subscribers", "export", "--site", c.Host())
	stored := map[string]bool{}
	for line := range strings.Lines(out) {
		var s struct{ Endpoint string }
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			c.T.Fatal(err)
		}
		stored[strings.TrimPrefix(s.Endpoint, "https://push.webpush.test")] = true
	}
	for path, subscribed := range c.subs {
		if stored[path] != subscribed {
			c.T.Errorf("%s: subscribed %v, stored %v", path, subscribed, stored[path])
		}
	}
}

// checkMessages waits until all messages are done. Each must have been pushed to
// every remaining subscriber that had subscribed before it was sent.
func (c *crowd) checkMessages() {
	c.T.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		var list struct {
			Messages []struct {
				State   string
				Results struct{ Audience, Accepted, Pending int64 }
			}
		}
		c.apiJSON("/messages?limit=1000", &list)
		open := 0
		for _, m := range list.Messages {
			if m.State != "done" {
				open++
			}
		}
		if open == 0 && len(list.Messages) >= min(len(c.messages), 1000) {
			break
		}
		if time.Now().After(deadline) {
			c.T.Fatalf("%d of %d messages are not done", open, len(list.Messages))
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.push.mu.Lock()
	defer c.push.mu.Unlock()
	skipped := 0
	for key, owed := range c.messages {
		for _, path := range owed {
			if c.subs[path] && len(c.push.posts[key+" "+path]) == 0 {
				skipped++
			}
		}
	}
	if skipped > 0 {
		c.T.Errorf("%d pushes are missing", skipped)
	}
}
