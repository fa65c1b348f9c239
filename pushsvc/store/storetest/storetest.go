// Package storetest is the conformance suite of the stores: it tests what the
// comments on store.Store promise. A store passes if this test passes, with and
// without the race detector:
//
//	func TestConformance(t *testing.T) { storetest.Run(t, open) }
//
// open makes an empty store and returns two handles on it, as two processes would
// have them: promises about concurrent calls are tested over both. A store that only
// one process can open returns the same handle twice.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
)

// Run runs the suite. open makes an empty store for each test, whose clock, for
// both handles, is the given one; the suite closes them.
func Run(t *testing.T, open func(t *testing.T, clock func() time.Time) (first, second store.Store)) {
	for _, group := range [][]test{subscriptionTests, replaceTests, importTests, topicTests, messageTests, rangeTests, progressTests, laterTests, noteTests, controlTests, simulationTests, keyTests, settingTests, changeTests, peopleTests, proofTests, popupTests, siteTests, moveTests, togetherTests, sharedTests, storeTests} {
		for _, tt := range group {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				h := &harness{T: t}
				h.set(epoch)
				h.Store, h.second = open(t, func() time.Time { return *h.now.Load() })
				t.Cleanup(func() {
					if err := errors.Join(h.Store.Close(), h.second.Close()); err != nil {
						t.Errorf("closing the store: %v", err)
					}
				})
				tt.run(h)
			})
		}
	}
}

// test is one promise.
type test struct {
	name string
	run  func(*harness)
}

// harness is a store whose errors end the test.
type harness struct {
	*testing.T
	store.Store
	second store.Store
	now    atomic.Pointer[time.Time] // the store's clock
}

// set sets the store's clock.
func (h *harness) set(at time.Time) { h.now.Store(&at) }

// handle returns one of the two, for the i-th concurrent caller.
func (h *harness) handle(i int) store.Store {
	if i%2 == 1 {
		return h.second
	}
	return h.Store
}

// claimAt claims at a time of the store's clock.
func (h *harness) claimAt(site, id, owner string, at, until time.Time) (pushsvc.Message, pushsvc.Range, error) {
	h.set(at)
	return h.Claim(h.Context(), site, id, owner, until.Sub(at))
}

// controlAt controls at a time of the store's clock, which is also the caller's.
func (h *harness) controlAt(site, id string, command pushsvc.Command, at time.Time) (pushsvc.Message, error) {
	h.set(at)
	return h.Control(h.Context(), site, id, command, at)
}

// checkpointAt writes a checkpoint at its time.
func (h *harness) checkpointAt(c pushsvc.Checkpoint) (pushsvc.Message, pushsvc.Range, error) {
	if !c.At.IsZero() {
		h.set(c.At)
	}
	return h.Checkpoint(h.Context(), c)
}

func (h *harness) unfinishedAt(at time.Time, after string, limit int) ([]pushsvc.Message, error) {
	h.set(at)
	return h.Unfinished(h.Context(), after, limit)
}

func (h *harness) laterAt(site, id string, at time.Time, limit int) ([]pushsvc.Retry, error) {
	h.set(at)
	return h.LaterPage(h.Context(), site, id, limit)
}

// epoch is the time of the tests.
var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const siteA, siteB = "a.example", "b.example"

// sub makes the n-th subscription of a site; all of its fields depend on n.
func sub(site string, n int) pushsvc.Subscription {
	s := pushsvc.Subscription{
		Site:     site,
		Endpoint: endpoint(n),
		Auth:     auth(n),
		KeyID:    fmt.Sprintf("key-%d", n),
		Language: "de-DE",
		TimeZone: "Europe/Berlin",
		Page:     fmt.Sprintf("/articles/%d", n),
		Created:  epoch.Add(time.Duration(n) * time.Second),
		Seen:     epoch.Add(time.Duration(n) * time.Second),
	}
	if n%2 == 0 {
		s.Expiration = epoch.Add(time.Duration(n) * time.Hour)
	}
	s.P256DH[0] = 4
	copy(s.P256DH[1:], fmt.Sprintf("public key %d", n))
	return s
}

func endpoint(n int) string {
	return fmt.Sprintf("https://fcm.googleapis.com/fcm/send/%032d", n)
}

func auth(n int) (a [pushsvc.AuthSize]byte) {
	copy(a[:], fmt.Sprintf("auth %d", n))
	return a
}

func proof(n int) *pushsvc.Proof { return &pushsvc.Proof{Endpoint: endpoint(n), Auth: auth(n)} }

// messageID makes the n-th id; they rise with n, as UUIDv7 does with time.
func messageID(n int) string {
	return fmt.Sprintf("01935a00-%04x-7000-8000-000000000000", n)
}

func message(site string, n int) pushsvc.Message {
	return pushsvc.Message{
		ID: messageID(n), Site: site, Created: epoch.Add(time.Duration(n) * time.Second),
		Content: pushsvc.Content{Title: fmt.Sprintf("Message %d", n)},
	}
}

// put stores the n-th subscription of a site.
func (h *harness) put(site string, n int) pushsvc.Subscription {
	h.Helper()
	return h.putSub(sub(site, n), nil)
}

func (h *harness) putSub(s pushsvc.Subscription, replaces *pushsvc.Proof) pushsvc.Subscription {
	h.Helper()
	row, err := h.PutSubscription(h.Context(), s, replaces)
	if err != nil {
		h.Fatalf("PutSubscription: %v", err)
	}
	return row
}

// putAll stores subscriptions 1 to n.
func (h *harness) putAll(site string, n int) []pushsvc.Subscription {
	h.Helper()
	rows := make([]pushsvc.Subscription, n)
	h.each(n, func(i int) error {
		row, err := h.handle(i).PutSubscription(h.Context(), sub(site, i+1), nil)
		rows[i] = row
		return err
	})
	return rows
}

// each runs fn for 0 to n-1 on up to 64 goroutines.
func (h *harness) each(n int, fn func(i int) error) {
	h.Helper()
	next, errs := make(chan int), make(chan error, n)
	for range min(64, n) {
		go func() {
			for i := range next {
				errs <- fn(i)
			}
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	for range n {
		if err := <-errs; err != nil {
			h.Fatalf("one of %d calls: %v", n, err)
		}
	}
}

// all reads every subscription of a site, in pages.
func (h *harness) all(site string) (rows []pushsvc.Subscription) {
	h.Helper()
	var after pushsvc.SubscriptionID
	for {
		page, err := h.SubscriptionPage(h.Context(), site, after, 1000)
		if err != nil {
			h.Fatalf("SubscriptionPage: %v", err)
		}
		if len(page) == 0 {
			return rows
		}
		rows = append(rows, page...)
		after = page[len(page)-1].ID
	}
}

func (h *harness) create(m pushsvc.Message) pushsvc.Message {
	h.Helper()
	row, created, err := h.CreateMessage(h.Context(), m, pushsvc.Idempotency{})
	if err != nil || !created {
		h.Fatalf("CreateMessage: created %v, %v", created, err)
	}
	return row
}

func (h *harness) message(site string, n int) pushsvc.Message {
	h.Helper()
	m, err := h.Message(h.Context(), site, messageID(n))
	if err != nil {
		h.Fatalf("Message: %v", err)
	}
	h.balanced(m.Progress)
	return m
}

// claim leases a range of the n-th message at the time for a minute.
func (h *harness) claim(site string, n int, at time.Time) pushsvc.Range {
	h.Helper()
	m, r, err := h.claimAt(site, messageID(n), "engine", at, at.Add(time.Minute))
	if err != nil {
		h.Fatalf("Claim: %v", err)
	}
	h.balanced(m.Progress)
	return r
}

// idle checks that nothing can be claimed at the time, and returns the message's
// row.
func (h *harness) idle(site string, n int, at time.Time) pushsvc.Message {
	h.Helper()
	m, r, err := h.claimAt(site, messageID(n), "idler", at, at.Add(time.Minute))
	if !errors.Is(err, pushsvc.ErrNothingDue) {
		h.Errorf("claim at %v: error %v, range %d; want %v", at.Sub(epoch), err, r.N, pushsvc.ErrNothingDue)
	}
	return m
}

// on returns a checkpoint of a claimed range that does not move the cursor and
// keeps the lease for a minute.
func on(r pushsvc.Range, at time.Time, outcomes ...pushsvc.Outcome) pushsvc.Checkpoint {
	return pushsvc.Checkpoint{
		Site: r.Site, MessageID: r.MessageID, Range: r.N, Epoch: r.Epoch, Cursor: r.Cursor,
		Settled: r.Settled, Outcomes: outcomes, Lease: time.Minute, At: at,
	}
}

func (h *harness) checkpoint(c pushsvc.Checkpoint) (pushsvc.Message, pushsvc.Range) {
	h.Helper()
	m, r, err := h.checkpointAt(c)
	if err != nil {
		h.Fatalf("Checkpoint: %v", err)
	}
	h.balanced(m.Progress)
	return m, r
}

// finish settles all recipients of the range and ends it.
func (h *harness) finish(r pushsvc.Range, at time.Time, kind pushsvc.OutcomeKind) pushsvc.Message {
	h.Helper()
	rows, err := h.RangePage(h.Context(), r, r.Cursor, 1<<20)
	if err != nil {
		h.Fatal(err)
	}
	c := on(r, at, outcomes(kind, rows)...)
	c.Cursor, c.Settled, c.Done = r.Until, nil, true
	m, _ := h.checkpoint(c)
	return m
}

// outcomes returns the same outcome for all rows.
func outcomes(kind pushsvc.OutcomeKind, rows []pushsvc.Subscription) (out []pushsvc.Outcome) {
	for _, row := range rows {
		out = append(out, pushsvc.Outcome{ID: row.ID, Kind: kind, Reason: "why"})
	}
	return out
}

// balanced checks the invariant of every progress: each recipient is in exactly
// one state.
func (h *harness) balanced(p pushsvc.Progress) {
	h.Helper()
	if sum := p.Pending + p.Accepted + p.Later + p.Gone + p.Left + p.FailedTotal() + p.Expired + p.Cancelled; sum != p.Audience {
		h.Errorf("states sum to %d, audience is %d: %+v", sum, p.Audience, p)
	}
	if p.Pending < 0 || p.Left < 0 || p.Later < 0 || p.Failed == nil {
		h.Errorf("a state is negative, or Failed is nil: %+v", p)
	}
}

func (h *harness) count(site string) int64 {
	h.Helper()
	sum, err := h.Site(h.Context(), site)
	if err != nil {
		h.Fatalf("Site: %v", err)
	}
	return sum.Subscriptions
}

// is checks for a sentinel error.
func (h *harness) is(what string, err, want error) {
	h.Helper()
	if !errors.Is(err, want) {
		h.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// same compares rows; times by instant, empty as nil.
func (h *harness) same(what string, got, want any) {
	h.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(time.Time.Equal), cmp.Comparer(equalSecrets)); d != "" {
		h.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func equalSecrets(a, b pushsvc.Secret) bool {
	return bytes.Equal([]byte(a.Reveal()), []byte(b.Reveal()))
}

// Naughty returns texts that a store must return unchanged, also as ids or parts
// of keys.
func Naughty() []string {
	return []string{
		"'", `"; DROP TABLE subscriptions; --`, "%s%n", "a\x00b", "a:b", "a/b", "\\", "\x7f\x01", "\u2028",
		"Ω≈ç√∫˜µ", "田中さん", "👩‍👩‍👧‍👦", "ﷺ", "\ufeffx", "ｆｕｌｌ", "e\u0301 é", "<script>", "null", "$1", "{{.}}",
		"  spaces  ", "UPPER lower", "a\r\nb",
	}
}
