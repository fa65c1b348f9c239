package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var keyTests = []test{
	{"key is made once", testEnsureKey},
	{"key made at once", testEnsureKeyRace},
	{"key lost", testKeyLost},
	{"key import", testImportKey},
	{"key generator fails", testGeneratorFails},
	{"secret", testSecret},
}

var storeTests = []test{
	{"closed", testClosed},
	{"closed while in use", testCloseRace},
}

func key(n int) pushsvc.Key {
	return pushsvc.Key{
		ID: fmt.Sprintf("key-%d", n), Public: fmt.Sprintf("public %d", n), Private: pushsvc.Secret(fmt.Sprintf("private %d", n)),
		Created: epoch.Add(time.Duration(n) * time.Hour),
	}
}

func current(k pushsvc.Key) pushsvc.Key {
	k.Current = true
	return k
}

func testEnsureKey(h *harness) {
	calls := 0
	for range 3 {
		got, err := h.EnsureKey(h.Context(), func() (pushsvc.Key, error) { calls++; return key(1), nil })
		if err != nil {
			h.Fatal(err)
		}
		h.same("key", got, current(key(1)))
		h.put(siteA, 1) // subscriptions change nothing once there is a key
	}
	if calls != 1 {
		h.Errorf("made %d keys", calls)
	}
	keys, err := h.Keys(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	h.same("ring", keys, []pushsvc.Key{current(key(1))})
}

func testEnsureKeyRace(h *harness) {
	var n atomic.Int64
	var mu sync.Mutex
	got := map[string]bool{}
	h.each(24, func(i int) error {
		k, err := h.handle(i).EnsureKey(h.Context(), func() (pushsvc.Key, error) { return key(int(n.Add(1))), nil })
		mu.Lock()
		defer mu.Unlock()
		got[k.ID+k.Private.Reveal()] = true
		return err
	})
	if keys, err := h.Keys(h.Context()); err != nil || len(keys) != 1 || len(got) != 1 {
		h.Errorf("%d keys in the ring, callers have %d; %v", len(keys), len(got), err)
	}
}

func testKeyLost(h *harness) {
	h.put(siteA, 1)
	made := func() (pushsvc.Key, error) { return key(1), nil }
	_, err := h.EnsureKey(h.Context(), made)
	h.is("with a subscription", err, pushsvc.ErrKeyLost)
	if keys, err := h.Keys(h.Context()); err != nil || len(keys) != 0 {
		h.Errorf("the ring has %d keys, %v", len(keys), err)
	}
	if _, err := h.ImportKey(h.Context(), key(2), false); err != nil {
		h.Fatalf("importing the lost key: %v", err)
	}
	got, err := h.EnsureKey(h.Context(), made)
	if err != nil {
		h.Fatal(err)
	}
	h.same("key", got, current(key(2)))
}

func testImportKey(h *harness) {
	if _, err := h.EnsureKey(h.Context(), func() (pushsvc.Key, error) { return key(5), nil }); err != nil {
		h.Fatal(err)
	}
	steps := []struct {
		name string
		key  pushsvc.Key
		want []pushsvc.Key
		kept bool // the current one stays
	}{
		{"an older one", key(3), []pushsvc.Key{current(key(3)), key(5)}, false},
		{"a newer one", key(9), []pushsvc.Key{current(key(9)), key(3), key(5)}, false},
		{"the first again", key(5), []pushsvc.Key{current(key(5)), key(3), key(9)}, false},
		{"the same again", key(5), []pushsvc.Key{current(key(5)), key(3), key(9)}, false},
		{"one beside", key(7), []pushsvc.Key{current(key(5)), key(3), key(7), key(9)}, true},
		{"it again", key(7), []pushsvc.Key{current(key(5)), key(3), key(7), key(9)}, true},
		{"the current one beside itself", key(5), []pushsvc.Key{current(key(5)), key(3), key(7), key(9)}, true},
	}
	for _, step := range steps {
		in := step.key
		got, err := h.ImportKey(h.Context(), in, !step.kept)
		if err != nil {
			h.Fatal(err)
		}
		want := in
		want.Current = in.ID == step.want[0].ID
		h.same(step.name, got, want)
		keys, err := h.Keys(h.Context())
		if err != nil {
			h.Fatal(err)
		}
		h.same("ring after "+step.name, keys, step.want)
		ensured, err := h.EnsureKey(h.Context(), func() (pushsvc.Key, error) { return key(99), nil })
		if err != nil {
			h.Fatal(err)
		}
		h.same("current after "+step.name, ensured, step.want[0])
	}
	later := key(3)
	later.Created = epoch.Add(1000 * time.Hour)
	if got, err := h.ImportKey(h.Context(), later, true); err != nil || !got.Created.Equal(key(3).Created) {
		h.Errorf("an import changed the date to %v, %v", got.Created, err)
	}
	dateless := key(4)
	dateless.Created = time.Time{}
	if got, err := h.ImportKey(h.Context(), dateless, true); err != nil || got.Created.IsZero() {
		h.Errorf("an import without a date has %v, %v", got.Created, err)
	}
	other := key(3)
	other.Private = "another"
	if _, err := h.ImportKey(h.Context(), other, true); err == nil {
		h.Error("another pair with the same id was taken")
	}
}

func testGeneratorFails(h *harness) {
	fault := errors.New("no entropy")
	_, err := h.EnsureKey(h.Context(), func() (pushsvc.Key, error) { return key(1), fault })
	h.is("generator's fault", err, fault)
	if keys, err := h.Keys(h.Context()); err != nil || len(keys) != 0 {
		h.Errorf("the ring has %d keys, %v", len(keys), err)
	}
}

func testSecret(h *harness) {
	first, err := h.Secret(h.Context())
	if err != nil || len(first) != 32 || bytes.Equal(first, make([]byte, 32)) {
		h.Fatalf("secret of %d bytes, %v", len(first), err)
	}
	want := bytes.Clone(first)
	first[0] ^= 1 // the caller's copy
	h.each(16, func(i int) error {
		got, err := h.handle(i).Secret(h.Context())
		if err == nil && !bytes.Equal(got, want) {
			err = errors.New("the secret has changed")
		}
		return err
	})
}

// calls has one call of each method but Close.
func (h *harness) calls() map[string]func() error {
	ctx := h.Context()
	return map[string]func() error{
		"PutSubscription":    func() error { _, err := h.PutSubscription(ctx, sub(siteA, 1), nil); return err },
		"DeleteSubscription": func() error { return h.DeleteSubscription(ctx, siteA, 1) },
		"DeleteProven":       func() error { _, err := h.DeleteProven(ctx, siteA, *proof(1)); return err },
		"SubscriptionPage":   func() error { _, err := h.SubscriptionPage(ctx, siteA, 0, 1); return err },
		"Sites":              func() error { _, err := h.Sites(ctx); return err },
		"Site":               func() error { _, err := h.Site(ctx, siteA); return err },
		"CreateMessage": func() error {
			_, _, err := h.CreateMessage(ctx, message(siteA, 1), pushsvc.Idempotency{})
			return err
		},
		"Message":     func() error { _, err := h.Message(ctx, siteA, messageID(1)); return err },
		"MessagePage": func() error { _, err := h.MessagePage(ctx, siteA, "", 1); return err },
		"Unfinished":  func() error { _, err := h.Unfinished(ctx, "", 1); return err },
		"Claim":       func() error { _, _, err := h.Claim(ctx, siteA, messageID(1), "x", time.Minute); return err },
		"Control": func() error {
			_, err := h.Control(ctx, siteA, messageID(1), pushsvc.CommandPause, epoch)
			return err
		},
		"Checkpoint": func() error {
			_, _, err := h.Checkpoint(ctx, pushsvc.Checkpoint{Site: siteA, MessageID: messageID(1)})
			return err
		},
		"Note":      func() error { return h.Note(ctx, pushsvc.Range{Site: siteA, MessageID: messageID(1)}, nil) },
		"RangePage": func() error { _, err := h.RangePage(ctx, pushsvc.Range{Site: siteA, Until: 9}, 0, 1); return err },
		"LaterPage": func() error { _, err := h.LaterPage(ctx, siteA, messageID(1), 1); return err },
		"Prunable":  func() error { _, err := h.Prunable(ctx, epoch, 1); return err },
		"PruneMessage": func() error {
			_, err := h.PruneMessage(ctx, pushsvc.MessageName{Site: siteA, ID: messageID(1)}, epoch)
			return err
		},
		"ImportSubscriptions": func() error {
			_, err := h.ImportSubscriptions(ctx, siteA, []pushsvc.Subscription{sub(siteA, 1)})
			return err
		},
		"AddReceipts": func() error {
			_, err := h.AddReceipts(ctx, siteA, messageID(1), []pushsvc.Receipt{{Subscription: 1, Kind: pushsvc.ReceiptShown}})
			return err
		},
		"EnsureKey": func() error {
			_, err := h.EnsureKey(ctx, func() (pushsvc.Key, error) { return key(1), nil })
			return err
		},
		"ImportKey": func() error { _, err := h.ImportKey(ctx, key(1), true); return err },
		"Setting":   func() error { _, err := h.Setting(ctx, siteA, "prompt"); return err },
		"Settings":  func() error { _, err := h.Settings(ctx, "prompt"); return err },
		"PutSetting": func() error {
			_, err := h.PutSetting(ctx, setting(siteA, "prompt", "{}"), pushsvc.AnyRevision)
			return err
		},
		"DeleteSetting": func() error { return h.DeleteSetting(ctx, siteA, "prompt", pushsvc.AnyRevision) },
		"Keys":          func() error { _, err := h.Keys(ctx); return err },
		"RemoveSite":    func() error { return h.RemoveSite(ctx, siteA) },
		"Sweep":         func() error { _, err := h.Sweep(ctx, 1); return err },
		"Used":          func() error { _, err := h.Used(ctx); return err },
		"ErasePeople":   func() error { _, err := h.ErasePeople(ctx, siteA, nil); return err },
		"Secret":        func() error { _, err := h.Secret(ctx); return err },
		"Changes":       func() error { _, _, err := h.Changes(ctx, 0); return err },
	}
}

func testClosed(h *harness) {
	h.put(siteA, 1)
	if err := h.Close(); err != nil {
		h.Fatal(err)
	}
	for name, call := range h.calls() {
		h.is(name, call(), pushsvc.ErrClosed)
	}
	if err := h.Close(); err != nil {
		h.Errorf("closing again: %v", err)
	}
}

// testCloseRace closes in the middle of writes: each either succeeds or returns
// ErrClosed.
func testCloseRace(h *harness) {
	results := make(chan error, 200)
	start := make(chan struct{})
	for n := range cap(results) {
		go func() {
			<-start
			_, err := h.PutSubscription(h.Context(), sub(siteA, n), nil)
			results <- err
		}()
	}
	close(start)
	time.Sleep(time.Millisecond)
	if err := h.Close(); err != nil {
		h.Error(err)
	}
	for range cap(results) {
		if err := <-results; err != nil && !errors.Is(err, pushsvc.ErrClosed) {
			h.Errorf("a write while closing: %v", err)
		}
	}
}
