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

// killsEnv sets the number of kills.
const killsEnv = "WEBPUSH_TEST_KILLS"

// poster is a browser that posts events of a few visitors and repeats each batch
// until it is acknowledged, whatever happens to the server.
type poster struct {
	*process
	client    http.Client
	rand      *rand.Rand
	sites     []postingVisitor
	want      map[string]int64 // events by name, each batch once
	batches   int
	retries   int // posts without an answer, or with 503
	repeated  int // posts of batches that were acknowledged before
	lostReply int // batches whose first post got no answer
}

// postingVisitor is one of its visitors.
type postingVisitor struct {
	session, cookie string
	sent            int64
	acknowledged    []string // its last batches
}

func newPoster(p *process, seed uint64, visitors int) *poster {
	b := &poster{process: p, rand: rand.New(rand.NewPCG(seed, 6)), want: map[string]int64{}}
	b.client.Timeout = 20 * time.Second
	b.sites = make([]postingVisitor, visitors)
	for i := range b.sites {
		b.sites[i].session = b.random16()
	}
	return b
}

func (b *poster) random16() string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var s strings.Builder
	for range 21 {
		s.WriteByte(digits[b.rand.IntN(64)])
	}
	return s.String() + "A"
}

// run posts until stop, and then the rest.
func (b *poster) run(stop <-chan struct{}, acknowledged *atomic.Int64) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		v := &b.sites[b.rand.IntN(len(b.sites))]
		if n := len(v.acknowledged); n > 0 && b.rand.IntN(8) == 0 {
			// As a browser that closed before it got the answer.
			b.repeated++
			if err := b.post(v, v.acknowledged[b.rand.IntN(n)]); err != nil {
				return err
			}
			continue
		}
		var body strings.Builder
		fmt.Fprintf(&body, `{"batch":%q,"session":%q,"sent":%d,"events":[`, b.random16(), v.session, time.Now().UnixMilli())
		for i := range 1 + b.rand.IntN(12) {
			if i > 0 {
				body.WriteByte(',')
			}
			name := fmt.Sprintf("Event %d", b.rand.IntN(5))
			fmt.Fprintf(&body, `{"type":"event","name":%q,"props":{"n":%d},"time":%d}`, name, i, time.Now().UnixMilli())
			b.want[name]++
			v.sent++
		}
		body.WriteString("]}")
		if err := b.post(v, body.String()); err != nil {
			return err
		}
		b.batches++
		acknowledged.Add(1)
		v.acknowledged = append(v.acknowledged, body.String())
		v.acknowledged = v.acknowledged[max(len(v.acknowledged)-20, 0):] // of 64 that the store remembers
	}
}

// post posts a batch, unchanged, until it is acknowledged.
func (b *poster) post(v *postingVisitor, body string) error {
	deadline := time.Now().Add(time.Minute)
	for try := 1; ; try++ {
		r, err := http.NewRequest(http.MethodPost, b.URL+"/_webpush/events", strings.NewReader(body))
		if err != nil {
			return err
		}
		r.Host = b.Host()
		for k, value := range caddytest.Posting {
			r.Header.Set(k, value)
		}
		if v.cookie != "" {
			r.Header.Set("Cookie", v.cookie)
		}
		resp, err := b.client.Do(r)
		if err == nil {
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			switch resp.StatusCode {
			case http.StatusNoContent:
				for _, c := range resp.Cookies() {
					v.cookie = c.Name + "=" + c.Value
				}
				return nil
			case http.StatusServiceUnavailable, http.StatusBadGateway:
				err = fmt.Errorf("status %d", resp.StatusCode)
			default:
				return fmt.Errorf("status %d: %s", resp.StatusCode, text)
			}
		}
		if try == 1 {
			b.lostReply++
		}
		b.retries++
		if time.Now().After(deadline) {
			return fmt.Errorf("not acknowledged within a minute: %w", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// apiJSON reads from the process's operator API about its site.
func (p *process) apiJSON(path string, v any) {
	p.T.Helper()
	resp, err := http.Get(fmt.Sprintf("http://localhost:%d/webpush/sites/%s%s", p.Admin, p.Host(), path))
	if err != nil {
		p.T.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, v) != nil {
		p.T.Fatalf("%s: %d %s: %v", path, resp.StatusCode, body, err)
	}
}

// TestKillUnderEvents kills the server with -9 while visitors post events, and
// repost unacknowledged batches unchanged. At the end every event is counted
// exactly once: by name for the site, and for each visitor.
func TestKillUnderEvents(t *testing.T) {
	kills := 3
	if text := os.Getenv(killsEnv); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	p := newProcess(t, "", t.TempDir())
	p.Start()
	const posters, visitors = 8, 15
	all := make([]*poster, posters)
	errs := make([]error, posters)
	stop := make(chan struct{})
	var acknowledged atomic.Int64
	var wg sync.WaitGroup
	for i := range all {
		all[i] = newPoster(p, uint64(i), visitors)
		wg.Go(func() { errs[i] = all[i].run(stop, &acknowledged) })
	}
	for range kills {
		// During the load, however fast it is.
		until := acknowledged.Load() + 20 + rand.Int64N(200)
		for deadline := time.Now().Add(time.Minute); acknowledged.Load() < until && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		p.Kill()
		p.Start()
	}
	close(stop)
	wg.Wait()
	want, sent := map[string]int64{}, map[int64]int{}
	batches, retries, repeated, lost, used := 0, 0, 0, 0, 0
	for i, b := range all {
		if errs[i] != nil {
			t.Fatalf("%v\n%s", errs[i], p.Log)
		}
		for name, n := range b.want {
			want[name] += n
		}
		for _, v := range b.sites {
			if v.sent > 0 {
				sent[v.sent]++
				used++
			}
		}
		batches, retries, repeated, lost = batches+b.batches, retries+b.retries, repeated+b.repeated, lost+b.lostReply
	}
	p.checkCounts(want, sent, used)
	if lost < kills {
		t.Errorf("%d kills left only %d batches without an answer", kills, lost)
	}
	t.Logf("%d kills, %d batches of %d visitors, %d of them without an answer at first, %d posts for nothing, %d repeated on purpose",
		kills, batches, used, lost, retries, repeated)
	p.Terminate()
	if strings.Contains(p.Log.String(), "damage") {
		t.Errorf("the store is damaged:\n%s", p.Log)
	}
}

// checkCounts compares the site's counts, and how many visitors have how many
// events.
func (p *process) checkCounts(want map[string]int64, sent map[int64]int, visitors int) {
	p.T.Helper()
	var site struct {
		Events []struct {
			Name  string
			Count int64
		}
		Counts struct{ Profiles, Anonymous int }
	}
	p.apiJSON("/events", &site)
	for _, e := range site.Events {
		if e.Count != want[e.Name] {
			p.T.Errorf("%s: %d are counted of %d", e.Name, e.Count, want[e.Name])
		}
		delete(want, e.Name)
	}
	if len(want) > 0 {
		p.T.Errorf("not counted at all: %v", want)
	}
	if site.Counts.Profiles != visitors {
		p.T.Errorf("%d profiles of %d visitors", site.Counts.Profiles, visitors)
	}
	have := map[int64]int{}
	for cursor := ""; ; {
		var list struct {
			Profiles []struct{ Events int64 }
			Next     string
		}
		p.apiJSON("/profiles?limit=100&cursor="+cursor, &list)
		for _, v := range list.Profiles {
			have[v.Events]++
		}
		if cursor = list.Next; cursor == "" {
			break
		}
	}
	for n, visitors := range sent {
		if have[n] != visitors {
			p.T.Errorf("%d events: %d visitors have so many, %d sent so many", n, have[n], visitors)
		}
	}
}
