package storetest

import (
	"encoding/json"
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
	{"message needs a site", testMessageNeedsSite},
	{"message audience is a snapshot", testAudience},
	{"message created twice", testCreateTwice},
	{"message pages", testMessagePages},
	{"message unfinished", testUnfinished},
	{"idempotency", testIdempotency},
	{"idempotency at once", testIdempotencyRace},
	{"idempotency limits", testIdempotencyLimits},
}

// fullContent has every field set.
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
		// Only the content, id, site and date are the caller's.
		m.State, m.Owner, m.Epoch, m.Progress.Accepted = pushsvc.StateDone, "me", 7, 9
		want := message(siteA, n)
		want.Content = content
		want.State = pushsvc.StateQueued
		want.Until = h.all(siteA)[2].ID
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

func testMessageNeedsSite(h *harness) {
	_, _, err := h.CreateMessage(h.Context(), message(siteA, 1), pushsvc.Idempotency{})
	h.is("unknown site", err, pushsvc.ErrNotFound)
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
		h.Errorf("audience %d of a site that has nobody left", m.Progress.Audience)
	}
}

func testAudience(h *harness) {
	rows := sorted(h.putAll(siteA, 5))
	h.putAll(siteB, 9)
	m := h.create(message(siteA, 1))
	later := h.put(siteA, 6)
	if m.Until < rows[4].ID || m.Until >= later.ID || m.Progress.Audience != 5 || m.Progress.Pending != 5 {
		h.Errorf("until %d, progress %+v; want %d, 5", m.Until, m.Progress, rows[4].ID)
	}
	if got := h.message(siteA, 1); got.Until != m.Until || got.Progress.Audience != 5 {
		h.Errorf("a later subscription changed the audience: %+v", got)
	}
	if m := h.create(message(siteA, 2)); m.Until < later.ID || m.Progress.Audience != 6 {
		h.Errorf("the next message has until %d, audience %d", m.Until, m.Progress.Audience)
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

func testUnfinished(h *harness) {
	h.put(siteA, 1)
	h.put(siteB, 1)
	for n := range 6 {
		h.create(message([]string{siteA, siteB}[n%2], n))
	}
	m := h.claim(siteA, 2, epoch)
	h.checkpoint(pushsvc.Checkpoint{Site: siteA, MessageID: m.ID, Epoch: m.Epoch, Done: true, At: epoch})
	h.claim(siteB, 3, epoch) // sending is not done
	for _, c := range []struct {
		limit int
		want  []int
	}{{10, []int{0, 1, 3, 4, 5}}, {2, []int{0, 1}}, {0, nil}} {
		page, err := h.Unfinished(h.Context(), c.limit)
		if err != nil {
			h.Fatal(err)
		}
		var want []string
		for _, n := range c.want {
			want = append(want, messageID(n))
		}
		h.same(fmt.Sprintf("limit %d", c.limit), messageIDs(page), want)
		for _, m := range page {
			if m.Site != siteA && m.Site != siteB {
				h.Errorf("message of site %q", m.Site)
			}
		}
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
		h.Errorf("key used anew: id %s, created %v, %v", got.ID, created, err)
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
		row, created, err := h.CreateMessage(h.Context(), m, key)
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
	// Keys that expire one after another, and more of them than one sweep
	// takes.
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
