package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var messageTests = []test{
	{"message round trip", testMessageRoundTrip},
	{"message texts", testMessageTexts},
	{"message without recipients", testMessageWithoutRecipients},
	{"message audience is a snapshot", testAudience},
	{"message created twice", testCreateTwice},
	{"message pages", testMessagePages},
	{"message unfinished", testUnfinished},
	{"message to one", testOnly},
	{"message at a time", testScheduled},
	{"message pruned", testPrune},
	{"message pruned, its key", testPrunedKey},
	{"idempotency", testIdempotency},
	{"idempotency at once", testIdempotencyRace},
	{"idempotency limits", testIdempotencyLimits},
}

// fullContent returns content with every field set.
func fullContent() pushsvc.Content {
	ttl := 0
	return pushsvc.Content{
		Title: "Title", Body: "Body", URL: "/u?a=1&b=<2>", Icon: "/i.png", Image: "/m.png", Badge: "/b.png",
		Tag: "tag", Dir: "rtl", Lang: "ar", Timestamp: 1_700_000_000_123, Vibrate: []int{100, 50, 100},
		Actions: []pushsvc.Action{{Action: "a", Title: "A", URL: "/a", Icon: "/a.png"}, {Action: "b", Title: "B"}},
		Data:    json.RawMessage("{ \"a\" : [1, 2.50, \"<&>\"],\n \"b\": 12345678901234567890 }"),
		TTL:     &ttl, Urgency: pushsvc.UrgencyHigh, Topic: "topic",
		Renotify: true, Silent: true, RequireInteraction: true,
	}
}

func testMessageRoundTrip(h *harness) {
	h.putAll(siteA, 3)
	for n, content := range []pushsvc.Content{fullContent(), {Title: "x"}, {Title: "x", Data: json.RawMessage("null")}} {
		m := message(siteA, n)
		m.Content = content
		// The caller sets only the content, id, site and date.
		m.State, m.Started, m.NextTry, m.Progress.Accepted = pushsvc.StateDone, epoch, epoch, 9
		m.Rate, m.SendAt = 2.5, m.Created.Add(-time.Minute)
		want := message(siteA, n)
		want.Content, want.Rate, want.SendAt = content, m.Rate, m.SendAt
		want.State = pushsvc.StateQueued
		want.Progress = pushsvc.Progress{Audience: 3, Pending: 3}
		got := h.create(m)
		h.same("row returned", got, want)
		if got.Progress.Failed == nil {
			h.Error("Failed is nil")
		}
		h.same("row read", h.message(siteA, n), want)
	}
}

func testMessageTexts(h *harness) {
	h.put(siteA, 1)
	for i, text := range Naughty() {
		m := message(siteA, i)
		m.Content = pushsvc.Content{Title: text, Body: text, URL: text, Tag: text, Topic: text, Actions: []pushsvc.Action{{Action: text, Title: text}}}
		data, err := json.Marshal(map[string]string{text: text})
		if err != nil {
			h.Fatal(err)
		}
		m.Content.Data = data
		h.create(m)
		h.same(text, h.message(siteA, i).Content, m.Content)
	}
}

func testMessageWithoutRecipients(h *harness) {
	single := message(siteA, 1)
	single.Only = 7
	_, _, err := h.CreateMessage(h.Context(), single, pushsvc.Idempotency{})
	h.is("to one of an unknown site", err, pushsvc.ErrNotFound)
	_, err = h.Message(h.Context(), siteA, messageID(1))
	h.is("message of an unknown site", err, pushsvc.ErrNotFound)
	row := h.put(siteA, 1)
	_, err = h.Message(h.Context(), siteA, messageID(1))
	h.is("unknown message", err, pushsvc.ErrNotFound)
	_, err = h.Message(h.Context(), siteA, "")
	h.is("message without id", err, pushsvc.ErrNotFound)
	for _, id := range []string{"", strings.Repeat("x", 256)} {
		m := message(siteA, 1)
		m.ID = id
		if _, _, err := h.CreateMessage(h.Context(), m, pushsvc.Idempotency{}); err == nil {
			h.Errorf("an id of %d bytes was stored", len(id))
		}
	}
	if err := h.DeleteSubscription(h.Context(), siteA, row.ID); err != nil {
		h.Fatal(err)
	}
	if m := h.create(message(siteA, 2)); m.Progress.Audience != 0 {
		h.Errorf("audience %d of a site without subscribers", m.Progress.Audience)
	}
	m := message(siteB, 3)
	if m = h.create(m); m.Progress.Audience != 0 || m.State != pushsvc.StateQueued {
		h.Errorf("a message of a site without a row is %s to %d", m.State, m.Progress.Audience)
	}
	if sum, err := h.Site(h.Context(), siteB); err != nil || sum.Messages != 1 || sum.Subscriptions != 0 {
		h.Errorf("the site has then %+v, %v", sum, err)
	}
}

func testAudience(h *harness) {
	rows := sorted(h.putAll(siteA, 5))
	h.putAll(siteB, 9)
	m := h.create(message(siteA, 1))
	later := h.put(siteA, 6)
	if m.Progress.Audience != 5 || m.Progress.Pending != 5 {
		h.Errorf("progress %+v; want 5", m.Progress)
	}
	r := h.claim(siteA, 1, epoch)
	if r.Cursor >= rows[0].ID || r.Until < rows[4].ID || r.Until >= later.ID {
		h.Errorf("range from %d to %d; want %d to %d", r.Cursor, r.Until, rows[0].ID, rows[4].ID)
	}
	if got := h.message(siteA, 1); got.Progress.Audience != 5 {
		h.Errorf("a later subscription changed the audience: %+v", got)
	}
	if m := h.create(message(siteA, 2)); m.Progress.Audience != 6 {
		h.Errorf("the next message has audience %d", m.Progress.Audience)
	}
}

// testOnly sends to one subscription.
func testOnly(h *harness) {
	rows := sorted(h.putAll(siteA, 5))
	h.put(siteB, 1)
	m := message(siteA, 1)
	m.Only = rows[2].ID
	got := h.create(m)
	if got.Only != m.Only || got.Progress.Audience != 1 || got.Progress.Pending != 1 {
		h.Errorf("row %+v", got)
	}
	r := h.claim(siteA, 1, epoch)
	page, err := h.RangePage(h.Context(), r, r.Cursor, 10)
	if err != nil {
		h.Fatal(err)
	}
	h.same("recipients", page, rows[2:3])
	h.idle(siteA, 1, epoch) // it is the only range
	if m := h.finish(r, epoch, pushsvc.OutcomeAccepted); m.State != pushsvc.StateDone || m.Progress.Accepted != 1 {
		h.Errorf("at the end: %+v", m)
	}
	m = message(siteA, 2)
	m.Only = rows[4].ID + 99
	_, _, err = h.CreateMessage(h.Context(), m, pushsvc.Idempotency{})
	h.is("an unknown subscription", err, pushsvc.ErrNotFound)
	_, err = h.Message(h.Context(), siteA, m.ID)
	h.is("and the message", err, pushsvc.ErrNotFound)
}

// testScheduled sends at a set time.
func testScheduled(h *harness) {
	h.putAll(siteA, 2)
	m := message(siteA, 1)
	m.SendAt = epoch.Add(time.Hour)
	if got := h.create(m); got.State != pushsvc.StateScheduled || !got.SendAt.Equal(m.SendAt) {
		h.Errorf("row %+v", got)
	}
	before, due := m.SendAt.Add(-time.Second), m.SendAt
	if got := h.idle(siteA, 1, before); got.State != pushsvc.StateScheduled {
		h.Errorf("before its time it is %s", got.State)
	}
	if ids := h.unfinished(before, "", 9); len(ids) != 0 {
		h.Errorf("unfinished before its time: %v", ids)
	}
	h.same("unfinished at its time", h.unfinished(due, "", 9), []string{m.ID})
	h.claim(siteA, 1, due)
	if got := h.message(siteA, 1); got.State != pushsvc.StateSending || !got.Started.Equal(due) {
		h.Errorf("claimed: %+v", got)
	}
}

// testCreateTwice repeats a call whose outcome was unknown.
func testCreateTwice(h *harness) {
	h.putAll(siteA, 2)
	first := h.create(message(siteA, 1))
	h.put(siteA, 3)
	got, created, err := h.CreateMessage(h.Context(), message(siteA, 1), pushsvc.Idempotency{})
	if err != nil || created {
		h.Errorf("created %v, %v", created, err)
	}
	h.same("row", got, first)
	if sum, err := h.Site(h.Context(), siteA); err != nil || sum.Messages != 1 {
		h.Errorf("the site counts %d messages, %v", sum.Messages, err)
	}
}

func testMessagePages(h *harness) {
	h.put(siteA, 1)
	h.put(siteB, 1)
	for _, n := range []int{3, 1, 5, 2, 4} {
		h.create(message(siteA, n))
	}
	h.create(message(siteB, 9))
	for _, c := range []struct {
		name, before string
		limit        int
		want         []int
	}{
		{"all", "", 10, []int{5, 4, 3, 2, 1}},
		{"newest", "", 2, []int{5, 4}},
		{"below the fourth", messageID(4), 2, []int{3, 2}},
		{"below the first", messageID(1), 2, nil},
		{"below one that is not there", messageID(4) + "x", 2, []int{4, 3}},
		{"below the end", "zz", 10, []int{5, 4, 3, 2, 1}},
		{"limit 0", "", 0, nil},
		{"limit below 0", "", -1, nil},
	} {
		page, err := h.MessagePage(h.Context(), siteA, c.before, c.limit)
		if err != nil {
			h.Fatal(err)
		}
		var want []string
		for _, n := range c.want {
			want = append(want, messageID(n))
		}
		h.same(c.name, messageIDs(page), want)
	}
	if page, err := h.MessagePage(h.Context(), "c.example", "", 9); err != nil || len(page) != 0 {
		h.Errorf("an unknown site has %d messages, %v", len(page), err)
	}
}

func messageIDs(page []pushsvc.Message) (ids []string) {
	for _, m := range page {
		ids = append(ids, m.ID)
	}
	return ids
}

func (h *harness) unfinished(now time.Time, after string, limit int) []string {
	h.Helper()
	page, err := h.unfinishedAt(now, after, limit)
	if err != nil {
		h.Fatal(err)
	}
	for _, m := range page {
		h.balanced(m.Progress)
		if m.Site != siteA && m.Site != siteB {
			h.Errorf("message of site %q", m.Site)
		}
	}
	return messageIDs(page)
}

func testUnfinished(h *harness) {
	h.put(siteA, 1)
	h.put(siteB, 1)
	for n := range 8 {
		h.create(message([]string{siteA, siteB}[n%2], n))
	}
	h.finish(h.claim(siteA, 2, epoch), epoch, pushsvc.OutcomeAccepted)
	h.claim(siteB, 3, epoch) // sending is not done
	h.control(siteA, 4, pushsvc.CommandPause, epoch)
	h.control(siteB, 5, pushsvc.CommandCancel, epoch)
	for _, c := range []struct {
		after string
		limit int
		want  []int
	}{{"", 10, []int{0, 1, 3, 6, 7}}, {"", 2, []int{0, 1}}, {"", 0, nil}, {messageID(1), 2, []int{3, 6}}, {messageID(7), 9, nil}, {messageID(2) + "x", 1, []int{3}}} {
		var want []string
		for _, n := range c.want {
			want = append(want, messageID(n))
		}
		h.same(fmt.Sprintf("after %q, limit %d", c.after, c.limit), h.unfinished(epoch, c.after, c.limit), want)
	}
	h.control(siteA, 4, pushsvc.CommandResume, epoch)
	h.same("resumed", h.unfinished(epoch, messageID(3), 1), []string{messageID(4)})
}

// testPrune removes messages that have been final for long, with all their rows.
func testPrune(h *harness) {
	rows := sorted(h.putAll(siteA, 3))
	h.putAll(siteB, 3)
	for n := range 6 {
		site := []string{siteA, siteB}[n%2]
		h.create(message(site, n))
		if n < 4 {
			h.finish(h.claim(site, n, epoch), epoch.Add(time.Duration(n)*time.Hour), pushsvc.OutcomeAccepted)
		}
	}
	h.control(siteA, 4, pushsvc.CommandCancel, epoch)
	receipt := []pushsvc.Receipt{{Subscription: rows[0].ID, Kind: pushsvc.ReceiptShown}}
	if n, err := h.AddReceipts(h.Context(), siteA, messageID(0), receipt); n != 1 || err != nil {
		h.Fatal(n, err)
	}
	prune := func(before time.Time, limit, want int) {
		h.Helper()
		if n := h.pruneSome(before, limit); n != want {
			h.Errorf("pruned %d; want %d", n, want)
		}
	}
	for _, n := range []int{3, 5, 9} { // neither old enough, nor final, nor existing
		name := pushsvc.MessageName{Site: siteB, ID: messageID(n)}
		if ok, err := h.PruneMessage(h.Context(), name, epoch.Add(3*time.Hour)); ok || err != nil {
			h.Errorf("message %d is pruned: %v, %v", n, ok, err)
		}
	}
	prune(epoch, 10, 0)
	prune(epoch.Add(3*time.Hour), 0, 0)
	prune(epoch.Add(3*time.Hour), 3, 3) // 0, 1, 2 and 4, in any order
	prune(epoch.Add(3*time.Hour), 3, 1)
	prune(epoch.Add(3*time.Hour), 3, 0) // finished at exactly that time
	h.same("left unfinished", h.unfinished(epoch, "", 9), []string{messageID(5)})
	if p := h.message(siteB, 3).Progress; p.Accepted != 3 {
		h.Errorf("one that is left: %+v", p)
	}
	_, err := h.Message(h.Context(), siteA, messageID(0))
	h.is("one that is gone", err, pushsvc.ErrNotFound)
	_, err = h.laterAt(siteA, messageID(0), epoch, 9)
	h.is("its retries", err, pushsvc.ErrNotFound)
	if sum, err := h.Site(h.Context(), siteA); err != nil || sum.Messages != 0 || sum.Subscriptions != 3 {
		h.Errorf("the site counts %+v, %v", sum, err)
	}
	h.create(message(siteA, 0)) // no row of the first one is left
	if n, err := h.AddReceipts(h.Context(), siteA, messageID(0), receipt); n != 1 || err != nil {
		h.Errorf("a receipt for the new one: %d, %v", n, err)
	}
}

// pruneSome removes the listed messages.
func (h *harness) pruneSome(before time.Time, limit int) (n int) {
	h.Helper()
	old, err := h.Prunable(h.Context(), before, limit)
	for _, name := range old {
		ok, err2 := h.PruneMessage(h.Context(), name, before)
		if again, err3 := h.PruneMessage(h.Context(), name, before); !ok || again || errors.Join(err2, err3) != nil {
			h.Errorf("pruning %v: %v, again %v, %v", name, ok, again, errors.Join(err2, err3))
		}
		n++
	}
	if err != nil {
		h.Fatal(err)
	}
	return n
}

// testPrunedKey: the key of a pruned message makes a new one.
func testPrunedKey(h *harness) {
	h.put(siteA, 1)
	key := pushsvc.Idempotency{Key: "k", RequestHash: [32]byte{1}, Expires: epoch.Add(1000 * time.Hour)}
	if _, created, err := h.CreateMessage(h.Context(), message(siteA, 1), key); err != nil || !created {
		h.Fatal(created, err)
	}
	h.control(siteA, 1, pushsvc.CommandCancel, epoch)
	if n := h.pruneSome(epoch.Add(time.Hour), 9); n != 1 {
		h.Fatal(n)
	}
	if m, created, err := h.CreateMessage(h.Context(), message(siteA, 2), key); err != nil || !created || m.ID != messageID(2) {
		h.Errorf("%s, created %v, %v", m.ID, created, err)
	}
	if m, created, err := h.CreateMessage(h.Context(), message(siteA, 3), key); err != nil || created || m.ID != messageID(2) {
		h.Errorf("again: %s, created %v, %v", m.ID, created, err)
	}
}

func testIdempotency(h *harness) {
	h.putAll(siteA, 2)
	h.putAll(siteB, 2)
	key := pushsvc.Idempotency{Key: "key \x00 1", RequestHash: [32]byte{1}, Expires: epoch.Add(time.Hour)}
	try := func(site string, n int, at time.Time, k pushsvc.Idempotency) (pushsvc.Message, bool, error) {
		m := message(site, n)
		m.Created = at
		return h.CreateMessage(h.Context(), m, k)
	}
	first, created, err := try(siteA, 1, epoch, key)
	if err != nil || !created {
		h.Fatalf("first: created %v, %v", created, err)
	}
	h.claim(siteA, 1, epoch)
	got, created, err := try(siteA, 2, epoch.Add(59*time.Minute), key)
	if err != nil || created || got.ID != first.ID || got.State != pushsvc.StateSending {
		h.Errorf("same key: id %s, state %s, created %v, %v; want the first as it is now", got.ID, got.State, created, err)
	}
	other := key
	other.RequestHash[31] = 9
	_, _, err = try(siteA, 2, epoch, other)
	h.is("other request", err, pushsvc.ErrIdempotencyConflict)
	if _, created, err := try(siteB, 1, epoch, other); err != nil || !created {
		h.Errorf("other site: created %v, %v", created, err)
	}
	next := other
	next.Expires = epoch.Add(3 * time.Hour)
	if got, created, err := try(siteA, 3, epoch.Add(time.Hour), next); err != nil || !created || got.ID != messageID(3) {
		h.Errorf("expired key: id %s, created %v, %v", got.ID, created, err)
	}
	if got, created, err := try(siteA, 4, epoch.Add(2*time.Hour), next); err != nil || created || got.ID != messageID(3) {
		h.Errorf("key used again: id %s, created %v, %v", got.ID, created, err)
	}
	none := pushsvc.Idempotency{RequestHash: [32]byte{7}, Expires: epoch.Add(time.Hour)}
	for n := range 2 {
		if _, created, err := try(siteA, 5+n, epoch, none); err != nil || !created {
			h.Errorf("no key: created %v, %v", created, err)
		}
	}
}

func testIdempotencyRace(h *harness) {
	h.putAll(siteA, 2)
	key := pushsvc.Idempotency{Key: "k", RequestHash: [32]byte{1}, Expires: epoch.Add(time.Hour)}
	var mu sync.Mutex
	var made, ids []string
	h.each(32, func(i int) error {
		m := message(siteA, i)
		m.Created = epoch
		row, created, err := h.handle(i).CreateMessage(h.Context(), m, key)
		mu.Lock()
		defer mu.Unlock()
		if created {
			made = append(made, row.ID)
		}
		ids = append(ids, row.ID)
		return err
	})
	if len(made) != 1 || len(slices.Compact(ids)) != 1 {
		h.Errorf("one key made %v, and gave %v", made, slices.Compact(ids))
	}
}

func testIdempotencyLimits(h *harness) {
	h.put(siteA, 1)
	long := pushsvc.Idempotency{Key: strings.Repeat("k", 256), Expires: epoch.Add(time.Hour)}
	if _, _, err := h.CreateMessage(h.Context(), message(siteA, 0), long); err == nil {
		h.Error("a key of 256 bytes was taken")
	}
	// Keys that expire one by one, and more of them than one sweep removes.
	for n := range 60 {
		m := message(siteA, n)
		m.Created = epoch.Add(time.Duration(n) * time.Minute)
		k := pushsvc.Idempotency{Key: strings.Repeat("k", 240) + fmt.Sprint(n%40), RequestHash: [32]byte{byte(n)}, Expires: m.Created.Add(30 * time.Minute)}
		if _, created, err := h.CreateMessage(h.Context(), m, k); err != nil || !created {
			h.Fatalf("key %d: created %v, %v", n, created, err)
		}
		k.Expires = k.Expires.Add(time.Hour)
		m.ID += "-again"
		m.Created = m.Created.Add(29 * time.Minute)
		if row, created, err := h.CreateMessage(h.Context(), m, k); err != nil || created || row.ID != messageID(n) {
			h.Fatalf("key %d again: id %s, created %v, %v", n, row.ID, created, err)
		}
	}
}
