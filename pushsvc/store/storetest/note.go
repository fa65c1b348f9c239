package storetest

import (
	"slices"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var noteTests = []test{
	{"notes are taken over", testNotes},
	{"notes of retries are taken over", testLaterNotes},
	{"notes survive a checkpoint without them", testNotesKept},
	{"notes count in a cancelled message", testNotesCancelled},
	{"notes at once", testNotesAtOnce},
	{"notes of nothing", testNotesOfNothing},
}

// keepsNotes reports whether the store keeps notes, which is optional. A store
// that does must do it correctly.
func (h *harness) keepsNotes() bool {
	h.Helper()
	h.put("notes.example", 1)
	h.create(message("notes.example", 999))
	r := h.claim("notes.example", 999, epoch)
	h.note(r, pushsvc.Outcome{ID: r.Until, Kind: pushsvc.OutcomeAccepted})
	if len(h.claim("notes.example", 999, epoch.Add(time.Hour)).Noted) == 1 {
		return true
	}
	h.Log("the store keeps no notes")
	return false
}

func (h *harness) note(r pushsvc.Range, outcomes ...pushsvc.Outcome) {
	h.Helper()
	if err := h.Note(h.Context(), r, outcomes); err != nil {
		h.Fatalf("Note: %v", err)
	}
}

// byID sorts, since the order of notes is unspecified.
func byID(in []pushsvc.Outcome) []pushsvc.Outcome {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b pushsvc.Outcome) int { return int(int64(a.ID) - int64(b.ID)) })
	return out
}

func testNotes(h *harness) {
	if !h.keepsNotes() {
		return
	}
	rows := sorted(h.putAll(siteA, 10))
	h.create(message(siteA, 1))
	first := h.claim(siteA, 1, epoch)
	if len(first.Noted) != 0 {
		h.Errorf("a new range has notes: %v", first.Noted)
	}
	want := []pushsvc.Outcome{
		{ID: rows[0].ID, Kind: pushsvc.OutcomeAccepted},
		{ID: rows[1].ID, Kind: pushsvc.OutcomeFailed, Reason: "timeout"},
		{ID: rows[2].ID, Kind: pushsvc.OutcomeLater, Reason: "busy", Attempt: 3, Due: epoch.Add(1234 * time.Millisecond)},
		{ID: rows[7].ID, Kind: pushsvc.OutcomeGone},
	}
	h.note(first, want[0], want[1])
	h.note(first, want[1:]...) // one of them again
	before := h.message(siteA, 1)
	if before.Progress.Pending != 10 || h.count(siteA) != 10 {
		h.Errorf("notes are in the progress already: %+v", before.Progress)
	}
	second := h.claim(siteA, 1, epoch.Add(time.Hour))
	h.same("noted", byID(second.Noted), want)
	h.is("a note by the first engine", h.Note(h.Context(), first, outcomes(pushsvc.OutcomeAccepted, rows)), pushsvc.ErrLeaseLost)
	h.note(second, pushsvc.Outcome{ID: rows[8].ID, Kind: pushsvc.OutcomeExpired})
	want = append(want, pushsvc.Outcome{ID: rows[8].ID, Kind: pushsvc.OutcomeExpired})
	third := h.claim(siteA, 1, epoch.Add(2*time.Hour)) // the second engine died before its first checkpoint
	h.same("noted by both", byID(third.Noted), want)

	c := on(third, epoch.Add(2*time.Hour), third.Noted...)
	c.Cursor, c.Settled = rows[2].ID, []pushsvc.SubscriptionID{rows[7].ID, rows[8].ID}
	m, got := h.checkpoint(c)
	h.same("progress", m.Progress, pushsvc.Progress{Audience: 10, Pending: 5, Accepted: 1, Later: 1, Gone: 1, Expired: 1, Failed: map[string]int64{"timeout": 1}, Reasons: map[string]int64{"busy": 1}})
	if len(got.Noted) != 0 {
		h.Errorf("a checkpoint returns notes: %v", got.Noted)
	}
	// The retry is not due yet, the range is free: its notes are without the
	// settled outcomes.
	c = on(got, epoch.Add(2*time.Hour+time.Second))
	c.Lease = 0
	h.checkpoint(c)
	early := epoch.Add(1233 * time.Millisecond)
	_, r, err := h.claimAt(siteA, messageID(1), "engine", early, early)
	if err != nil || r.N < 0 || len(r.Noted) != 0 {
		h.Errorf("range %d, noted %v, %v", r.N, r.Noted, err)
	}
}

func testLaterNotes(h *harness) {
	if !h.keepsNotes() {
		return
	}
	rows := h.postpone(1, 4)
	at := epoch.Add(time.Hour)
	r := h.claim(siteA, 1, at)
	want := []pushsvc.Outcome{
		{ID: rows[0].ID, Kind: pushsvc.OutcomeAccepted},
		{ID: rows[2].ID, Kind: pushsvc.OutcomeLater, Reason: "busy", Attempt: 2, Due: at.Add(time.Hour)},
	}
	h.note(r, want...)
	r = h.claim(siteA, 1, at.Add(time.Hour))
	h.same("noted", byID(r.Noted), want)
	m, _ := h.checkpoint(on(r, at.Add(time.Hour), r.Noted...))
	h.same("progress", m.Progress, pushsvc.Progress{Audience: 4, Accepted: 1, Later: 3, Reasons: map[string]int64{"busy": 1, "why": 2}})
	r = h.claim(siteA, 1, at.Add(2*time.Hour))
	if len(r.Noted) != 0 {
		h.Errorf("settled and noted still: %v", r.Noted)
	}
	m, _ = h.checkpoint(on(r, at.Add(2*time.Hour), outcomes(pushsvc.OutcomeAccepted, rows)...))
	if m.State != pushsvc.StateDone || m.Progress.Accepted != 4 {
		h.Errorf("%+v", m)
	}
}

// testNotesKept: notes that are added while a checkpoint is written survive it.
func testNotesKept(h *harness) {
	if !h.keepsNotes() {
		return
	}
	rows := sorted(h.putAll(siteA, 4))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	h.note(r, outcomes(pushsvc.OutcomeAccepted, rows[:3])...)
	c := on(r, epoch, outcomes(pushsvc.OutcomeAccepted, rows[:1])...)
	c.Cursor = rows[0].ID
	h.checkpoint(c)
	r = h.claim(siteA, 1, epoch.Add(time.Hour))
	h.same("noted", byID(r.Noted), outcomes(pushsvc.OutcomeAccepted, rows[1:3]))
}

// testNotesCancelled: sends by an engine that died count.
func testNotesCancelled(h *harness) {
	if !h.keepsNotes() {
		return
	}
	rows := sorted(h.putAll(siteA, 10))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	c := on(r, epoch, outcomes(pushsvc.OutcomeLater, rows[:3])...)
	for i := range c.Outcomes {
		c.Outcomes[i].Due = epoch
	}
	c.Cursor = rows[2].ID
	h.checkpoint(c)
	h.note(r, outcomes(pushsvc.OutcomeAccepted, rows[2:5])...) // the first of them is settled
	h.note(r, pushsvc.Outcome{ID: rows[6].ID, Kind: pushsvc.OutcomeGone},
		pushsvc.Outcome{ID: rows[7].ID, Kind: pushsvc.OutcomeLater, Attempt: 1, Due: epoch})
	later := h.claim(siteA, 1, epoch)
	if later.N != pushsvc.LaterRange {
		h.Fatalf("claimed range %d", later.N)
	}
	h.note(later, outcomes(pushsvc.OutcomeAccepted, rows[1:2])...)
	if m := h.control(siteA, 1, pushsvc.CommandCancel, epoch.Add(time.Second)); m.State != pushsvc.StateCancelling {
		h.Errorf("while leased it is %s", m.State)
	}
	m := h.control(siteA, 1, pushsvc.CommandCancel, epoch.Add(time.Minute))
	h.same("progress", m.Progress, pushsvc.Progress{Audience: 10, Accepted: 3, Gone: 1, Cancelled: 6, Reasons: map[string]int64{"why": 2}})
	if m.State != pushsvc.StateCancelled || h.count(siteA) != 9 {
		h.Errorf("%s, %d subscriptions", m.State, h.count(siteA))
	}
}

// testNotesAtOnce notes from many goroutines, as an engine's workers do, during
// checkpoints.
func testNotesAtOnce(h *harness) {
	if !h.keepsNotes() {
		return
	}
	rows := sorted(h.putAll(siteA, 400))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	var mu sync.Mutex
	settled := 0
	h.each(400, func(i int) error {
		err := h.handle(i).Note(h.Context(), r, outcomes(pushsvc.OutcomeAccepted, rows[i:i+1]))
		if err != nil || i%50 != 49 {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		settled++
		c := on(r, epoch.Add(time.Duration(i)*time.Millisecond), outcomes(pushsvc.OutcomeAccepted, rows[settled-1:settled])...)
		c.Cursor = rows[settled-1].ID
		_, _, err = h.handle(i).Checkpoint(h.Context(), c)
		return err
	})
	r = h.claim(siteA, 1, epoch.Add(time.Hour))
	h.same("noted", byID(r.Noted), outcomes(pushsvc.OutcomeAccepted, rows[settled:]))
}

func testNotesOfNothing(h *harness) {
	rows := h.putAll(siteA, 1)
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	h.note(r)
	h.is("no lease", h.Note(h.Context(), pushsvc.Range{Site: siteA, MessageID: messageID(1), N: pushsvc.LaterRange}, outcomes(pushsvc.OutcomeAccepted, rows)), pushsvc.ErrLeaseLost)
	if got := h.claim(siteA, 1, epoch.Add(time.Hour)); len(got.Noted) != 0 {
		h.Errorf("noted: %v", got.Noted)
	}
}
