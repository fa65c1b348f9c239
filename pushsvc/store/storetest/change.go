package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

var changeTests = []test{
	{"the first call reports all kinds", testChangesFirst},
	{"each kind of change is reported, and can be read then", testChangeKinds},
	{"what visitors do is no change", testChangesVisitors},
	{"no follower misses one of many changes", testChangesRace},
	{"waiting for changes ends with the context and the store", testChangesEnd},
}

// changeWait is longer than a store may take to report a change.
const changeWait = 10 * time.Second

// changes waits for a change of the kind after since.
func (h *harness) changes(since int64, kind pushsvc.ChangeKinds) (next int64) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), changeWait)
	defer cancel()
	kinds, next, err := h.Changes(ctx, since)
	if err != nil {
		h.Fatalf("Changes after %d: %v", since, err)
	}
	if kinds&kind == 0 {
		h.Errorf("Changes after %d reports kinds %b, not %b", since, kinds, kind)
	}
	return next
}

// quiet checks that Changes reports nothing after since.
func (h *harness) quiet(since int64) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), 50*time.Millisecond)
	defer cancel()
	if kinds, next, err := h.Changes(ctx, since); !errors.Is(err, context.DeadlineExceeded) {
		h.Errorf("Changes after %d reports kinds %b, up to %d, %v, although there were none", since, kinds, next, err)
	}
}

func testChangesFirst(h *harness) {
	for _, since := range []int64{0, -1, 1 << 40} {
		kinds, next, err := h.Changes(h.Context(), since)
		if err != nil || kinds != pushsvc.ChangedAll || next < 1 {
			h.Errorf("Changes after %d: kinds %b, next %d, %v", since, kinds, next, err)
		}
		h.quiet(next)
	}
}

func testChangeKinds(h *harness) {
	at := h.changes(0, pushsvc.ChangedAll)
	step := func(name string, kind pushsvc.ChangeKinds, change func() error) {
		h.Helper()
		if err := change(); err != nil {
			h.Fatalf("%s: %v", name, err)
		}
		at = h.changes(at, kind)
	}
	var set pushsvc.Setting
	var popup popup.Stored
	step("PutSetting", pushsvc.ChangedSettings, func() (err error) {
		set, err = h.PutSetting(h.Context(), setting(siteA, "prompt", `{}`), 0)
		return err
	})
	step("DeleteSetting", pushsvc.ChangedSettings, func() error {
		return h.DeleteSetting(h.Context(), siteA, "prompt", set.Revision)
	})
	step("PutPopup", pushsvc.ChangedPopups, func() (err error) {
		popup, err = h.PutPopup(h.Context(), storedPopup(siteA, "sale", "Sale"), 0)
		return err
	})
	step("DeletePopup", pushsvc.ChangedPopups, func() error {
		return h.DeletePopup(h.Context(), siteA, popup.Popup.ID, popup.Revision)
	})
	step("EnsureKey", pushsvc.ChangedKeys, func() error {
		_, err := h.EnsureKey(h.Context(), func() (pushsvc.Key, error) { return key(1), nil })
		return err
	})
	step("ImportKey", pushsvc.ChangedKeys, func() error {
		_, err := h.ImportKey(h.Context(), key(2), true)
		return err
	})
	h.put(siteB, 1)
	step("RemoveSite", pushsvc.ChangedSites, func() error { return h.RemoveSite(h.Context(), siteB) })
	h.put(siteB, 1)
	step("BeginMove", pushsvc.ChangedSites, func() error {
		_, err := h.BeginMove(h.Context(), siteB, siteNew, epoch)
		return err
	})
	h.move(siteB, siteNew, 100)
	at = h.changes(at-1, pushsvc.ChangedSites) // the end may be reported or not
	step("RemoveSite of a name", pushsvc.ChangedSites, func() error { return h.RemoveSite(h.Context(), siteB) })
	// The same value changes nothing, and may be reported or not; later changes
	// must be.
	step("PutSetting", pushsvc.ChangedSettings, func() error {
		_, err := h.PutSetting(h.Context(), setting(siteA, "prompt", `{"kind":"bar"}`), pushsvc.AnyRevision)
		return err
	})
}

func testChangesVisitors(h *harness) {
	at := h.changes(0, pushsvc.ChangedAll)
	row := h.put(siteA, 1)
	h.create(message(siteA, 1))
	h.is("DeleteSubscription", h.DeleteSubscription(h.Context(), siteA, row.ID), nil)
	h.quiet(at)
}

// testChangesRace: many write, and a follower reads after each notice. At the end
// it has the stored state.
func testChangesRace(h *harness) {
	const writers, writes = 4, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range writes {
				row := setting(fmt.Sprintf("%d.example", w), "prompt", fmt.Sprintf(`{"n":%d}`, n))
				if _, err := h.PutSetting(h.Context(), row, pushsvc.AnyRevision); err != nil {
					h.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	ctx, cancel := context.WithTimeout(h.Context(), changeWait)
	defer cancel()
	whole := func() bool {
		rows, err := h.Settings(h.Context(), "prompt")
		if err != nil {
			h.Fatal(err)
		}
		for _, row := range rows {
			if string(row.Document) != fmt.Sprintf(`{"n":%d}`, writes-1) {
				return false
			}
		}
		return len(rows) == writers
	}
	for at := int64(0); ; {
		_, next, err := h.Changes(ctx, at)
		if err != nil {
			h.Fatalf("the last write was never reported: %v", err)
		}
		if at = next; whole() {
			break
		}
	}
	<-done
}

func testChangesEnd(h *harness) {
	at := h.changes(0, pushsvc.ChangedAll)
	ctx, cancel := context.WithCancel(h.Context())
	cancel()
	if _, _, err := h.Changes(ctx, at); !errors.Is(err, context.Canceled) {
		h.Errorf("Changes with an ended context: %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, _, err := h.Changes(h.Context(), at)
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	h.is("Close", h.Close(), nil)
	select {
	case err := <-ended:
		h.is("Changes of a closed store", err, pushsvc.ErrClosed)
	case <-time.After(changeWait):
		h.Error("Changes does not end when the store is closed")
	}
}
