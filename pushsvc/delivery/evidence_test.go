package delivery

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// trial is an evidence that receives one answer after the other.
type trial struct {
	evidence
	now time.Time
	who uint64
}

func newTrial() *trial {
	return &trial{evidence: evidence{few: leastFew}, now: time.Unix(1_700_000_000, 0)}
}

func (e *trial) good(n int) {
	for range n {
		e.now = e.now.Add(time.Millisecond)
		e.accepted(e.now)
	}
}

// bad puts n more recipients in trouble.
func (e *trial) bad(n int, witness bool) {
	for range n {
		e.who++
		e.now = e.now.Add(time.Millisecond)
		e.trouble(vote{recipient: e.who, witness: witness, at: e.now})
	}
}

// TestEvidence: whose trouble it is.
func TestEvidence(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                  string
		tell                  func(e *trial)
		again, noOthers, idle bool
		want                  blame
	}{
		{name: "nothing", tell: func(*trial) {}, idle: true, want: blameNone},
		{name: "seven in a row", tell: func(e *trial) { e.bad(7, false) }, want: blameNone},
		{name: "eight in a row", tell: func(e *trial) { e.bad(8, false) }, want: blameUnclear},
		{name: "eight and eight from elsewhere", tell: func(e *trial) { e.bad(8, false); e.bad(8, true) }, want: blameService},
		{name: "eight and seven from elsewhere", tell: func(e *trial) { e.bad(8, false); e.bad(7, true) }, want: blameUnclear},
		{name: "a thousand in a row, and no others asked", tell: func(e *trial) { e.bad(1000, false) }, want: blameUnclear},
		{name: "a thousand in a row, and one from elsewhere accepted", tell: func(e *trial) { e.bad(1000, false); e.good(1) }, want: blameNone},
		{name: "the same one a thousand times", tell: func(e *trial) {
			for range 1000 {
				e.trouble(vote{recipient: 7, witness: true, at: e.now})
			}
		}, noOthers: true, idle: true, want: blameNone},
		{name: "those of the message before", tell: func(e *trial) { e.bad(30, true); e.good(1); e.who = 0; e.bad(30, true) }, idle: true, noOthers: true, want: blameNone},
		{name: "all at once after many were accepted", tell: func(e *trial) { e.good(5000); e.bad(8, false); e.bad(8, true) }, want: blameService},
		{name: "as many in a row where half are refused", tell: func(e *trial) {
			for range 64 {
				e.good(1)
				e.bad(1, true)
			}
			e.good(1)
			e.bad(16, true)
		}, want: blameNone},
		{name: "forty in a row where half are refused", tell: func(e *trial) {
			for range 64 {
				e.good(1)
				e.bad(1, true)
			}
			e.good(1)
			e.bad(40, true)
		}, want: blameService},
		{name: "four of four", tell: func(e *trial) { e.bad(4, false) }, noOthers: true, idle: true, want: blameNone},
		{name: "five of five", tell: func(e *trial) { e.bad(5, false) }, noOthers: true, idle: true, want: blameFew},
		{name: "five, who may not be all", tell: func(e *trial) { e.bad(5, false) }, idle: true, want: blameUnclear},
		{name: "sixteen over an hour", tell: func(e *trial) {
			for range 16 {
				e.bad(1, true)
				e.now = e.now.Add(4 * time.Minute)
			}
		}, want: blameNone},
		{name: "two after a pause", tell: func(e *trial) { e.bad(2, false) }, again: true, want: blameNone},
		{name: "three after a pause", tell: func(e *trial) { e.bad(3, false) }, again: true, want: blameService},
		{name: "three after a pause, where half are refused", tell: func(e *trial) {
			for range 64 {
				e.good(1)
				e.bad(1, true)
			}
			e.good(1)
			e.bad(3, false)
		}, again: true, want: blameNone},
	} {
		e := newTrial()
		tt.tell(e)
		if got := e.blame(tt.again, tt.noOthers, tt.idle); got != tt.want {
			t.Errorf("%s: blame %d, not %d", tt.name, got, tt.want)
		}
	}
}

// TestEvidenceByChance: however many recipients have a trouble of their own, it is not taken for
// the service's, although each is as good as a witness.
func TestEvidenceByChance(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0.001, 0.013, 0.1, 0.5, 0.75, 0.9} {
		rnd := rand.New(rand.NewPCG(1, uint64(share*1000)))
		wrong := 0
		for range 20 {
			e := newTrial()
			e.good(1) // by chance, the beginning may look as if it were down
			for range 10_000 {
				if rnd.Float64() < share {
					e.bad(1, true)
				} else {
					e.good(1)
				}
				if e.blame(false, false, false) == blameService {
					wrong++
					e.believed()
				}
			}
		}
		// Of 200,000 answers. If nine of ten are refused, a service that is down looks much the
		// same.
		if most := map[float64]int{0.9: 20}[share]; wrong > most {
			t.Errorf("%v of all have a trouble of their own: the service is blamed %d times", share, wrong)
		}
	}
}

// TestAsked: one absurd Retry-After does not decide.
func TestAsked(t *testing.T) {
	t.Parallel()
	run := make([]vote, 16)
	for i := range run {
		run[i].asked = time.Minute
	}
	run[3].asked = time.Hour
	if d := asked(run); d != time.Minute {
		t.Errorf("%v", d)
	}
	for i := range 10 {
		run[i].asked = 0
	}
	if d := asked(run); d != 0 {
		t.Errorf("%v where most ask for no time", d)
	}
}

// TestPauseLength: the first pause is as long as the service asks, to the second, and an absurd one
// is approached in steps.
func TestPauseLength(t *testing.T) {
	t.Parallel()
	a := newAt()
	a.answer(8, busy(90*time.Second), false)
	a.answer(8, busy(90*time.Second), true)
	if d := a.origin.until.Sub(a.now); d < 89*time.Second || d > 91*time.Second {
		t.Errorf("paused for %v", d)
	}
	a = newAt()
	a.answer(8, busy(time.Hour), false)
	a.answer(8, busy(time.Hour), true)
	for _, want := range []time.Duration{2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		if d := a.origin.until.Sub(a.now); d != want {
			t.Fatalf("paused for %v, not %v", d, want)
		}
		a.now = a.origin.until
		a.answer(leastConfirm, busy(time.Hour), false)
	}
}

// TestOwnTrouble: trouble that does not count against the service.
func TestOwnTrouble(t *testing.T) {
	t.Parallel()
	late := gets(0, webpush.ClassLater, webpush.ReasonTimeout, 0)
	for name, tell := range map[string]func(*at){
		"a push that hung while others were accepted": func(a *at) {
			began := a.now
			a.answer(1, fine, false)
			for range 50 {
				a.who++
				a.origin.inFlight++
				a.key.inFlight++
				a.answered(a.cfg, a.now.Add(10*time.Second), answer{Result: &late, recipient: a.who, began: began, witness: true})
			}
		},
		"a further attempt": func(a *at) {
			for range 50 {
				a.who++
				a.origin.inFlight++
				a.key.inFlight++
				r := busy(time.Minute)
				a.answered(a.cfg, a.now, answer{Result: &r, recipient: a.who, began: a.now, witness: true, retry: true})
			}
		},
		"404, 400, 413": func(a *at) {
			a.answer(50, gets(404, webpush.ClassGone, webpush.ReasonNotFound, 0), true)
			a.answer(50, gets(400, webpush.ClassFailed, webpush.ReasonBadRequest, 0), true)
			a.answer(50, gets(413, webpush.ClassFailed, webpush.ReasonTooLarge, 0), true)
		},
		"429 of Apple, which counts per device": func(a *at) {
			r := busy(time.Minute)
			r.PauseOrigin = false
			a.answer(50, r, true)
		},
	} {
		a := newAt()
		tell(a)
		if !a.admits(a.now.Add(10*time.Second), false) || len(a.origin.run) > 0 {
			t.Errorf("%s: %d in the run, paused until %v", name, len(a.origin.run), a.origin.until)
		}
	}
}

// TestRefusedKey: a key that is refused for all recipients is stopped at once, and only that key;
// one that a few refuse is not.
func TestRefusedKey(t *testing.T) {
	t.Parallel()
	refused := gets(403, webpush.ClassOurFault, webpush.ReasonUnauthorized, 0)
	a := newAt()
	a.answer(100, fine, false)
	a.answer(300, refused, false) // in a row
	a.answer(1, fine, false)
	if !a.admits(a.now, false) {
		t.Error("made-up ones stop a key")
	}
	a.answer(8, refused, false)
	a.answer(8, refused, true)
	if a.admits(a.now.Add(stopFor-time.Second), false) || a.key.why != webpush.ReasonUnauthorized || a.now.Before(a.origin.until) {
		t.Errorf("until %v for %q", a.key.until, a.key.why)
	}
}

// TestHandful: a few are held up if there are no others, and a newcomer can be sent to.
func TestHandful(t *testing.T) {
	t.Parallel()
	a := newAt()
	a.origin.noOthers = true
	a.answer(leastFew, busy(time.Minute), false)
	if a.admits(a.now, false) || !a.origin.handful {
		t.Fatalf("%d in trouble and no others are not held up", leastFew)
	}
	a.origin.newcomer(a.now, 3)
	if a.admits(a.now, false) {
		t.Error("one of them opens the way")
	}
	a.origin.newcomer(a.now, 1000)
	if !a.admits(a.now, false) {
		t.Error("a newcomer is held up")
	}
	a.who = 1000
	a.answer(1, fine, false)
	a.who = 0
	a.origin.noOthers = true
	a.answer(leastFew, busy(time.Minute), false)
	if !a.admits(a.now, false) {
		t.Error("those whose trouble is known to be theirs are believed again")
	}
}
