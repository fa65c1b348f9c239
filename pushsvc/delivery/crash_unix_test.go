//go:build unix

package delivery_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
)

// A child process is an engine on a store in a file; these variables name both.
const (
	childEnv = "WEBPUSH_TEST_CHILD"
	// killsEnv asks for that many kills instead of a few.
	killsEnv = "WEBPUSH_TEST_KILLS"
)

const childSlots, childLease = 32, 2 * time.Second

// orders are the instructions for a child.
type orders struct {
	Store, Addr, Owner string
	PEM                []byte
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		if err := child(text); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child runs an engine until it is killed or gets a command to stop.
func child(text string) error {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	store, err := boltstore.Open(context.Background(), o.Store, boltstore.Options{})
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(o.PEM)
	client := newClient(o.Addr, pool, nil)
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	e := delivery.New(delivery.Config{
		Store: store, Sender: client, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Clock: time.Now,
		Owner: o.Owner, Contact: "mailto:ops@example.com", Concurrency: childSlots, Lease: childLease,
		Poll: 50 * time.Millisecond, CheckpointEvery: 200 * time.Millisecond,
	})
	e.Start()
	fmt.Println("started")
	<-terminate
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := e.Stop(ctx); err != nil {
		return err
	}
	return store.Close()
}

// crashed is a message whose engine is a process that is killed.
type crashed struct {
	testing.TB
	push    *pushService
	path    string
	names   map[pushsvc.SubscriptionID]string
	others  []string // who have not chosen the message's topic
	message pushsvc.Message
}

// newCrashed stores a message to n subscribers, of whom every 20th is gone and
// every 50th is to be tried again; a tenth as many between them have not chosen
// its topic.
func newCrashed(t testing.TB, n int) *crashed {
	t.Helper()
	c := &crashed{TB: t, push: newPushService(t), path: filepath.Join(t.TempDir(), "webpush.db"), names: make(map[pushsvc.SubscriptionID]string)}
	c.push.onPush(func(string) { time.Sleep(time.Duration(1+rand.IntN(8)) * time.Millisecond) })
	store := c.open(nil)
	defer store.Close()
	f := &fixture{TB: t, store: &checkedStore{Store: store, tb: t}, key: ensureKey(t, store)}
	template := f.subscribeAt(siteA, "ok", f.key.ID, fcm).Subscription // whose keys all have
	template.Topics = []string{"news"}
	subs := make([]pushsvc.Subscription, n-1+n/10)
	for i := range subs {
		host, kind := fcm, "ok"
		switch {
		case i%50 == 7:
			host, kind = apple, "busy"
		case i%20 == 3:
			kind = "gone410"
		case i%2 == 0:
			host = mozilla
		}
		subs[i] = template
		if i%11 == 5 && i/11 < n/10 {
			subs[i].Topics = nil
		}
		subs[i].Endpoint = fmt.Sprintf("https://%s/push/v2/%s-i%d", host, kind, i)
	}
	if _, err := store.ImportSubscriptions(t.Context(), siteA, subs); err != nil {
		t.Fatal(err)
	}
	for name, s := range f.subscriptions(siteA) {
		if len(s.Topics) > 0 {
			c.names[s.ID] = name
		} else {
			c.others = append(c.others, name)
		}
	}
	c.message = f.create(pushsvc.Message{Site: siteA, Topics: []string{"news"}})
	return c
}

func (c *crashed) open(clock func() time.Time) *boltstore.Store {
	c.Helper()
	store, err := boltstore.Open(context.Background(), c.path, boltstore.Options{Clock: clock, OnDamage: func(err error) { c.Errorf("damage: %v", err) }})
	if err != nil {
		c.Fatal(err)
	}
	return store
}

// process runs a child until it has sent this many more pushes, and for some time more, and ends it
// with a signal.
func (c *crashed) process(owner string, pushes int, sig syscall.Signal) {
	c.Helper()
	text, err := json.Marshal(orders{c.path, c.push.addr, owner, c.push.pem})
	if err != nil {
		c.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		c.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	log := new(logBuffer)
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		c.Fatalf("the child says %q: %v\n%s", line, err, log)
	}
	before := c.push.count()
	for deadline := time.Now().Add(8 * time.Second); c.push.count() < before+pushes && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(rand.N(20 * time.Millisecond))
	if err := cmd.Process.Signal(sig); err != nil {
		c.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil && sig == syscall.SIGTERM {
		c.Fatalf("stopping: %v\n%s", err, log)
	}
	// Pushes of the dead process may arrive after its end.
	for c.push.open.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// looked is what the next process finds.
type looked struct {
	row pushsvc.Message
	// open are the ranges that are not done, except the one of retries; noted is what was noted in
	// any.
	open  []pushsvc.Range
	noted map[pushsvc.SubscriptionID]pushsvc.Outcome
	later map[pushsvc.SubscriptionID]bool // recipients with a retry
}

// look opens the store as the next process would when the leases have run out.
func (c *crashed) look() looked {
	c.Helper()
	later := time.Now().Add(time.Hour)
	store := c.open(func() time.Time { return later })
	defer store.Close()
	checked := &checkedStore{Store: store, tb: c}
	row, err := checked.Message(context.Background(), siteA, c.message.ID)
	if err != nil {
		c.Fatal(err)
	}
	l := looked{row: row, noted: make(map[pushsvc.SubscriptionID]pushsvc.Outcome), later: make(map[pushsvc.SubscriptionID]bool)}
	retries, err := checked.LaterPage(context.Background(), siteA, c.message.ID, 1_000_000)
	if err != nil {
		c.Fatal(err)
	}
	for i := range retries {
		l.later[retries[i].ID] = true
	}
	for {
		_, rng, err := checked.Claim(context.Background(), siteA, c.message.ID, "look", time.Millisecond)
		if err != nil {
			return l
		}
		defer c.giveBack(store, rng)
		for _, o := range rng.Noted {
			l.noted[o.ID] = o
		}
		if rng.N != pushsvc.LaterRange {
			l.open = append(l.open, rng)
		}
	}
}

// unknown reports whether the store and its notes have no record of a recipient's last push.
func (l *looked) unknown(id pushsvc.SubscriptionID) bool {
	_, noted := l.noted[id]
	if l.later[id] {
		return !noted
	}
	for _, r := range l.open {
		if id > r.Cursor && id <= r.Until {
			_, settled := slices.BinarySearch(r.Settled, id)
			return !settled && !noted
		}
	}
	return false
}

func (c *crashed) giveBack(store store.Store, rng pushsvc.Range) {
	_, _, err := store.Checkpoint(context.Background(), pushsvc.Checkpoint{
		Site: rng.Site, MessageID: rng.MessageID, Range: rng.N, Epoch: rng.Epoch,
		Cursor: rng.Cursor, Settled: rng.Settled, At: time.Now(),
	})
	if err != nil {
		c.Error(err)
	}
}

// pushed returns how often each recipient was pushed to, without the first pushes to those who
// answer that they are busy.
func (c *crashed) pushed() map[pushsvc.SubscriptionID]int {
	n := make(map[pushsvc.SubscriptionID]int)
	for id, name := range c.names {
		n[id] = len(c.push.pushesTo(name))
		if strings.HasPrefix(name, "busy-") {
			n[id]--
		}
	}
	return n
}

// TestKill kills the process at random moments of a message to 10,000. After each kill, the store
// and its notes know of all pushes but those that were under way; only those, and recipients
// reported gone but not decided, are repeated; in the end no recipient was skipped.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	kills, _ := strconv.Atoi(os.Getenv(killsEnv))
	kills = max(kills, 6)
	done, worst, repeated := 0, 0, 0
	for done < kills {
		c := newCrashed(t, 10_000)
		before, lost := c.pushed(), make(map[pushsvc.SubscriptionID]bool)
		for l := c.look(); l.row.State != pushsvc.StateDone; done++ {
			c.process(fmt.Sprintf("engine-%d", done), rand.IntN(3000), syscall.SIGKILL)
			after, newPushes := c.pushed(), 0
			for id, n := range after {
				if n > max(before[id], 0) && before[id] > 0 {
					repeated++
					if o, noted := l.noted[id]; !lost[id] && !(noted && o.Kind == pushsvc.OutcomeQuarantined) {
						t.Errorf("kill %d: %s was pushed to again although the store knew", done, c.names[id])
					}
				}
			}
			l = c.look()
			for id, n := range after {
				was := lost[id]
				if lost[id] = n > 0 && l.unknown(id); lost[id] && !was {
					newPushes++
				}
			}
			if worst = max(worst, newPushes); newPushes > childSlots {
				t.Errorf("kill %d: %d pushes are not known of, more than were under way", done, newPushes)
			}
			before = after
		}
		c.finished()
	}
	t.Logf("%d kills, %d pushes repeated, at most %d lost by one kill, of %d under way", done, repeated, worst, childSlots)
}

// finished checks a message that is done.
func (c *crashed) finished() {
	c.Helper()
	p := c.look().row.Progress
	busy, gone := 0, 0
	for _, name := range c.names {
		posts := len(c.push.pushesTo(name))
		switch kind, _, _ := strings.Cut(name, "-"); {
		case posts == 0:
			c.Errorf("%s was skipped", name)
		case kind == "busy":
			busy++
			if posts < 2 {
				c.Errorf("%s was not tried again", name)
			}
		case kind == "gone410":
			gone++
		}
	}
	for _, name := range c.others {
		if len(c.push.pushesTo(name)) > 0 {
			c.Errorf("%s was pushed to without having chosen the topic", name)
		}
	}
	if p.Pending != 0 || len(c.others) == 0 || p.Audience != int64(len(c.names)) || p.Accepted != p.Audience-int64(gone) || p.Gone != int64(gone) {
		c.Errorf("%d were gone: %+v", gone, p)
	}
}

// TestTerminate is TestKill with the signal that asks to stop: nothing is
// repeated, and the store knows of every push.
func TestTerminate(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	c := newCrashed(t, 10_000)
	for i := 0; ; i++ {
		c.process(fmt.Sprintf("engine-%d", i), rand.IntN(3000), syscall.SIGTERM)
		l, who := c.look(), 0
		for id, n := range c.pushed() {
			who += max(n, 0)
			if n > 1 || n == 1 && l.unknown(id) {
				t.Errorf("stop %d: %s got %d pushes; unknown: %v", i, c.names[id], n, l.unknown(id))
			}
		}
		if len(l.noted) > 0 || int(l.row.Progress.Settled()) != who {
			t.Errorf("stop %d: %d pushes, %d notes are left, the store knows %+v", i, who, len(l.noted), l.row.Progress)
		}
		if l.row.State == pushsvc.StateDone {
			break
		}
	}
	c.finished()
}
