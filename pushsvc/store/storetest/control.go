package storetest

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var controlTests = []test{
	{"control", testControl},
	{"control pause and resume", testPause},
	{"control hold", testHold},
	{"control cancel before it began", testCancelEarly},
	{"control cancel while leased", testCancelLeased},
	{"control cancel, leases run out", testCancelRunsOut},
	{"control cancel keeps the reasons", testCancelReasons},
	{"control at once with checkpoints", testControlRace},
}

func (h *harness) control(site string, n int, command pushsvc.Command, at time.Time) pushsvc.Message {
	h.Helper()
	m, err := h.controlAt(site, messageID(n), command, at)
	if err != nil {
		h.Fatalf("%s: %v", command, err)
	}
	h.balanced(m.Progress)
	h.same("row read after "+string(command), h.message(site, n), m)
	return m
}

func testControl(h *harness) {
	h.putAll(siteA, 2)
	pause, resume, cancel, hold := pushsvc.CommandPause, pushsvc.CommandResume, pushsvc.CommandCancel, pushsvc.CommandHold
	const refused = pushsvc.State("")
	for i, c := range []struct {
		name  string
		begin func(n int)
		steps []pushsvc.Command
		want  []pushsvc.State // after each step
	}{
		{"queued", func(int) {}, []pushsvc.Command{resume, pause, pause, resume, resume, "stop"}, []pushsvc.State{refused, pushsvc.StatePaused, pushsvc.StatePaused, pushsvc.StateQueued, refused, refused}},
		{"sending", func(n int) { h.claim(siteA, n, epoch.Add(-time.Hour)) }, []pushsvc.Command{pause, resume, cancel, cancel, pause, resume}, []pushsvc.State{pushsvc.StatePaused, pushsvc.StateSending, pushsvc.StateCancelled, pushsvc.StateCancelled, refused, refused}},
		{"leased", func(n int) { h.claim(siteA, n, epoch) }, []pushsvc.Command{pause, cancel, pause, resume, cancel}, []pushsvc.State{pushsvc.StatePaused, pushsvc.StateCancelling, refused, refused, pushsvc.StateCancelling}},
		{"held", func(int) {}, []pushsvc.Command{hold, hold, pause, resume, hold, cancel, hold}, []pushsvc.State{pushsvc.StateHeld, pushsvc.StateHeld, pushsvc.StateHeld, pushsvc.StateQueued, pushsvc.StateHeld, pushsvc.StateCancelled, refused}},
		{"held in the middle", func(n int) { h.claim(siteA, n, epoch) }, []pushsvc.Command{pause, hold, resume, cancel, hold}, []pushsvc.State{pushsvc.StatePaused, pushsvc.StateHeld, pushsvc.StateSending, pushsvc.StateCancelling, refused}},
		{"done", func(n int) { h.finish(h.claim(siteA, n, epoch), epoch, pushsvc.OutcomeAccepted) }, []pushsvc.Command{pause, resume, cancel, hold}, []pushsvc.State{refused, refused, refused, refused}},
	} {
		h.create(message(siteA, i))
		c.begin(i)
		for j, command := range c.steps {
			before := h.message(siteA, i)
			m, err := h.controlAt(siteA, messageID(i), command, epoch)
			if c.want[j] != refused {
				if err != nil || m.State != c.want[j] {
					h.Errorf("%s, step %d (%s): state %q, %v; want %q", c.name, j, command, m.State, err, c.want[j])
				}
				continue
			}
			if command != "stop" {
				h.is(c.name+": "+string(command), err, pushsvc.ErrWrongState)
			} else if err == nil {
				h.Errorf("%s: an unknown command was carried out", c.name)
			}
			h.same(c.name+" after a refusal", h.message(siteA, i), before)
		}
	}
	for _, site := range []string{siteA, "c.example"} {
		_, err := h.controlAt(site, messageID(99), pause, epoch)
		h.is("unknown message of "+site, err, pushsvc.ErrNotFound)
	}
}

func testPause(h *harness) {
	rows := sorted(h.putAll(siteA, 4))
	m := message(siteA, 1)
	m.SendAt = epoch.Add(time.Hour)
	h.create(m)
	h.control(siteA, 1, pushsvc.CommandPause, epoch)
	if m := h.idle(siteA, 1, epoch.Add(2*time.Hour)); m.State != pushsvc.StatePaused {
		h.Errorf("paused before its time, it is %s", m.State)
	}
	if m := h.control(siteA, 1, pushsvc.CommandResume, epoch.Add(time.Minute)); m.State != pushsvc.StateScheduled {
		h.Errorf("resumed before its time, it is %s", m.State)
	}
	h.control(siteA, 1, pushsvc.CommandPause, epoch)
	if m := h.control(siteA, 1, pushsvc.CommandResume, epoch.Add(time.Hour)); m.State != pushsvc.StateQueued {
		h.Errorf("resumed after its time, it is %s", m.State)
	}
	at := epoch.Add(2 * time.Hour)
	r := h.claim(siteA, 1, at)
	h.control(siteA, 1, pushsvc.CommandPause, at)
	// Running sends still count, and the engine learns of the pause.
	c := on(r, at, outcomes(pushsvc.OutcomeAccepted, rows[:2])...)
	c.Cursor, c.Lease = rows[1].ID, 0
	if got, _ := h.checkpoint(c); got.State != pushsvc.StatePaused || got.Progress.Accepted != 2 {
		h.Errorf("checkpoint of a paused message: %+v", got)
	}
	h.idle(siteA, 1, at.Add(time.Hour))
	if got := h.control(siteA, 1, pushsvc.CommandResume, at); got.State != pushsvc.StateSending {
		h.Errorf("resumed in the middle, it is %s", got.State)
	}
	r = h.claim(siteA, 1, at)
	if r.Cursor != rows[1].ID {
		h.Errorf("it continues after %d, not %d", r.Cursor, rows[1].ID)
	}
	h.control(siteA, 1, pushsvc.CommandPause, at) // the last checkpoint ends it anyway
	if got := h.finish(r, at, pushsvc.OutcomeAccepted); got.State != pushsvc.StateDone || got.Progress.Accepted != 4 {
		h.Errorf("at the end: %+v", got)
	}
}

// testHold: no part of a held message is claimed or listed, whatever its time;
// once released it continues.
func testHold(h *harness) {
	rows := sorted(h.putAll(siteA, 4))
	m := message(siteA, 1)
	m.SendAt = epoch.Add(time.Hour)
	h.create(m)
	h.create(message(siteA, 2))
	r := h.claim(siteA, 2, epoch)
	c := on(r, epoch, outcomes(pushsvc.OutcomeAccepted, rows[:2])...)
	c.Cursor, c.Lease = rows[1].ID, 0
	h.checkpoint(c)
	later := epoch.Add(2 * time.Hour)
	for n := 1; n <= 2; n++ {
		h.control(siteA, n, pushsvc.CommandHold, epoch)
		if m := h.idle(siteA, n, later); m.State != pushsvc.StateHeld {
			h.Errorf("message %d is %s", n, m.State)
		}
	}
	if page, err := h.unfinishedAt(later, "", 10); err != nil || len(page) > 0 {
		h.Errorf("to be sent: %v, %v", page, err)
	}
	if m := h.control(siteA, 1, pushsvc.CommandResume, epoch); m.State != pushsvc.StateScheduled {
		h.Errorf("released before its time, it is %s", m.State)
	}
	h.control(siteA, 2, pushsvc.CommandResume, later)
	if r = h.claim(siteA, 2, later); r.Cursor != rows[1].ID {
		h.Errorf("it continues after %d, not %d", r.Cursor, rows[1].ID)
	}
	if got := h.finish(r, later, pushsvc.OutcomeAccepted); got.Progress.Accepted != 4 {
		h.Errorf("at the end: %+v", got.Progress)
	}
}

func testCancelEarly(h *harness) {
	h.putAll(siteA, 3)
	for n, sendAt := range []time.Time{{}, epoch.Add(time.Hour)} {
		m := message(siteA, n)
		m.SendAt = sendAt
		h.create(m)
		got := h.control(siteA, n, pushsvc.CommandCancel, epoch.Add(time.Minute))
		h.same("progress", got.Progress, pushsvc.Progress{Audience: 3, Cancelled: 3})
		if got.State != pushsvc.StateCancelled || !got.Finished.Equal(epoch.Add(time.Minute)) || !got.Started.IsZero() {
			h.Errorf("%+v", got)
		}
		_, _, err := h.claimAt(siteA, messageID(n), "x", epoch.Add(9*time.Hour), epoch.Add(10*time.Hour))
		h.is("claiming it", err, pushsvc.ErrNotFound)
	}
	h.same("unfinished", h.unfinished(epoch.Add(9*time.Hour), "", 9), []string(nil))
}

// testCancelLeased: the engine's last checkpoint ends the message.
func testCancelLeased(h *harness) {
	h.importAll(siteA, 6000)
	h.create(message(siteA, 1))
	first, second := h.claim(siteA, 1, epoch), h.claim(siteA, 1, epoch)
	h.control(siteA, 1, pushsvc.CommandCancel, epoch)
	if m := h.idle(siteA, 1, epoch.Add(time.Second)); m.State != pushsvc.StateCancelling {
		h.Errorf("after a claim it is %s", m.State)
	}
	h.same("unfinished", h.unfinished(epoch, "", 9), []string{messageID(1)})
	rows, err := h.RangePage(h.Context(), first, first.Cursor, 10)
	if err != nil {
		h.Fatal(err)
	}
	c := on(first, epoch.Add(time.Second), outcomes(pushsvc.OutcomeAccepted, rows[:8])...)
	c.Outcomes = append(c.Outcomes, pushsvc.Outcome{ID: rows[8].ID, Kind: pushsvc.OutcomeLater, Attempt: 1, Due: epoch})
	c.Cursor, c.Lease = rows[8].ID, 0
	if m, _ := h.checkpoint(c); m.State != pushsvc.StateCancelling || m.Progress.Later != 1 {
		h.Errorf("while the other is leased: %+v", m)
	}
	c = on(second, epoch.Add(2*time.Second))
	c.Lease = 0
	m, _ := h.checkpoint(c)
	h.same("progress", m.Progress, pushsvc.Progress{Audience: 6000, Accepted: 8, Cancelled: 5992})
	if m.State != pushsvc.StateCancelled || !m.Finished.Equal(c.At) || !m.NextTry.IsZero() {
		h.Errorf("%+v", m)
	}
	again, _ := h.checkpoint(c)
	h.same("repeated", again, m)
	_, _, err = h.checkpointAt(on(first, epoch.Add(3*time.Second), outcomes(pushsvc.OutcomeAccepted, rows[9:])...))
	h.is("another checkpoint", err, pushsvc.ErrLeaseLost)
	h.same("retries", h.retries(1, epoch.Add(time.Hour), 9), []pushsvc.SubscriptionID(nil))
}

func testCancelRunsOut(h *harness) {
	h.putAll(siteA, 3)
	h.create(message(siteA, 1))
	h.claim(siteA, 1, epoch)
	h.control(siteA, 1, pushsvc.CommandCancel, epoch.Add(59*time.Second))
	m := h.idle(siteA, 1, epoch.Add(time.Minute))
	if m.State != pushsvc.StateCancelled || m.Progress.Cancelled != 3 {
		h.Errorf("after its lease it is %+v", m)
	}
	h.same("row", h.message(siteA, 1), m)
	h.same("unfinished", h.unfinished(epoch.Add(time.Hour), "", 9), []string(nil))
}

// testCancelReasons: the reasons for unreached recipients are known while a
// message waits and after its end; recipients reached in the end are not counted
// there.
func testCancelReasons(h *harness) {
	rows := sorted(h.putAll(siteA, 6))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	due := epoch.Add(time.Minute)
	var tried []pushsvc.Outcome
	for i, why := range []string{"dns", "dns", "tls", "throttled", "throttled"} {
		tried = append(tried, pushsvc.Outcome{ID: rows[i].ID, Kind: pushsvc.OutcomeLater, Reason: why, Attempt: 1, Due: due})
	}
	c := on(r, epoch, append(tried, pushsvc.Outcome{ID: rows[5].ID, Kind: pushsvc.OutcomeExpired, Reason: "timeout"})...)
	c.Cursor, c.Done = r.Until, true
	m, _ := h.checkpoint(c)
	h.same("reasons", m.Progress.Reasons, map[string]int64{"dns": 2, "tls": 1, "throttled": 2, "timeout": 1})
	h.same("reasons read", h.message(siteA, 1).Progress.Reasons, m.Progress.Reasons)
	r = h.claim(siteA, 1, due)
	m, _ = h.checkpoint(on(r, due,
		pushsvc.Outcome{ID: rows[0].ID, Kind: pushsvc.OutcomeLater, Reason: "tls", Attempt: 2, Due: due.Add(time.Hour)},
		pushsvc.Outcome{ID: rows[2].ID, Kind: pushsvc.OutcomeAccepted},
		pushsvc.Outcome{ID: rows[3].ID, Kind: pushsvc.OutcomeFailed, Reason: "throttled"},
		pushsvc.Outcome{ID: rows[4].ID, Kind: pushsvc.OutcomeExpired}))
	want := map[string]int64{"dns": 1, "tls": 1, "throttled": 1, "timeout": 1}
	h.same("reasons after a second try", m.Progress.Reasons, want)
	m = h.control(siteA, 1, pushsvc.CommandCancel, due.Add(time.Hour))
	if m.State != pushsvc.StateCancelled {
		h.Errorf("it is %s", m.State)
	}
	h.same("progress", m.Progress, pushsvc.Progress{
		Audience: 6, Accepted: 1, Expired: 2, Cancelled: 2, Failed: map[string]int64{"throttled": 1}, Reasons: want,
	})
}

// testControlRace pauses, resumes and cancels while an engine works.
func testControlRace(h *harness) {
	rows := sorted(h.putAll(siteA, 60))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	h.each(120, func(i int) error {
		if i%2 == 0 {
			_, _, err := h.handle(i).Checkpoint(h.Context(), on(r, epoch.Add(time.Duration(i)*time.Millisecond), outcomes(pushsvc.OutcomeAccepted, rows[i/2:i/2+1])...))
			return err
		}
		command := []pushsvc.Command{pushsvc.CommandPause, pushsvc.CommandResume}[i/2%2]
		if i == 61 {
			command = pushsvc.CommandCancel
		}
		_, _ = h.handle(i).Control(h.Context(), siteA, messageID(1), command, epoch) // many are refused
		return nil
	})
	m := h.message(siteA, 1)
	if m.State != pushsvc.StateCancelling || m.Progress.Accepted != 60 {
		h.Errorf("%+v", m)
	}
	c := on(r, epoch.Add(time.Second))
	c.Lease = 0
	if m, _ := h.checkpoint(c); m.State != pushsvc.StateCancelled || m.Progress.Cancelled != 0 {
		h.Errorf("%+v", m)
	}
}
