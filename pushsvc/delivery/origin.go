package delivery

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// How origins are treated.
const (
	// firstLimit is how many pushes go to an origin at once before it has answered any; it grows
	// from there as TCP's window does. calmLimit is the limit for an origin that refuses many of
	// them.
	firstLimit, leastLimit, calmLimit = 8, 4, 16
	// calmShare is how many of a hundred an origin must have refused for calmLimit.
	calmShare = 25
	// stopAfter is how often one recipient is tried if our token or contact is refused, and how
	// many such recipients are a handful (see evidence).
	stopAfter = 3
	// stopFor is how long a refused key is not used, at first. An operator has to correct it;
	// waiting does not.
	stopFor = 5 * time.Minute
	// longPause is the longest first pause that a push service may ask for; Mozilla's asks for this
	// much. The second may be twice as long, and so on up to the maximum of a Retry-After.
	longPause, maxPause = 2 * time.Minute, time.Hour
	// shortPause is the longest pause for which recipients wait in memory.
	shortPause = 2 * time.Second
	// slowAnswer is the response time from which an origin may not hold up others, and maxPlaceWait
	// how long its recipients wait for a place.
	slowAnswer, maxPlaceWait = 2 * time.Second, 2 * time.Second
	// From maxGates on, origins are forgotten that are not in use and, if they are down, have not
	// answered for memoryOfDown: visitors can choose some of the names.
	maxGates     = 1024
	memoryOfDown = 10 * time.Minute
)

// breaker lets everything pass, or nothing until a time and then one push at a time until one is
// accepted. Its evidence opens and closes it.
type breaker struct {
	evidence
	streak   int       // pauses in a row
	until    time.Time // no push before
	probing  bool
	inFlight int
	queued   int
	heard    time.Time      // the last attempt's end
	why      webpush.Reason // of the pause
	// handful is true if only the few in voters are held up: there were no others to ask.
	handful bool
	voters  []vote

	witnessing
}

// blame returns whose trouble the evidence shows now.
func (b *breaker) blame(now time.Time) blame {
	if now.Before(b.until) {
		return blameNone // answers to pushes from before the pause
	}
	idle := b.queued == 0 && b.inFlight == 0
	return b.evidence.blame(b.probing, b.noOthers && idle, idle)
}

// trip stops pushes for d.
func (b *breaker) trip(now time.Time, d time.Duration) {
	b.streak++
	b.until = now.Add(d)
	b.probing, b.why = true, b.run[len(b.run)-1].why
	if run := b.believed(); b.handful {
		b.voters = append(b.voters, run...)
		b.voters = b.voters[max(len(b.voters)-mostRun, 0):]
	} else {
		b.voters = run
	}
	b.witnessing = witnessing{}
}

// passed notes that a push was accepted.
func (b *breaker) passed(now time.Time) {
	b.evidence.accepted(now)
	b.witnessing = witnessing{}
	if now.Before(b.until) {
		return // it was sent before the pause
	}
	if b.handful {
		for i := range b.voters {
			b.addOwnTrouble(b.voters[i].recipient)
		}
	}
	b.streak, b.probing, b.handful, b.voters = 0, false, false, nil
}

// newcomer lets pushes start again if the recipient is not in the handful that is held up: as far
// as is known, only the handful is in trouble.
func (b *breaker) newcomer(now time.Time, recipient uint64) {
	if !b.handful || !now.Before(b.until) || slices.ContainsFunc(b.voters, func(v vote) bool { return v.recipient == recipient }) {
		return
	}
	b.until = now
}

// left returns how many more pushes may be under way while recipients are in trouble: no more than
// may be in vain if the trouble is the service's.
func (b *breaker) left(limit int) int {
	n := len(b.run)
	switch {
	case n == 0:
		return limit
	case b.known == 0: // no push has been accepted lately
		limit -= n
	}
	return max(min(limit, b.need()-n), 1)
}

// idle reports whether b can be forgotten with no or little loss.
func (b *breaker) idle(now time.Time) bool {
	clean := len(b.run) == 0 && !b.probing
	return b.inFlight == 0 && !now.Before(b.until) && (clean || now.Sub(b.heard) > memoryOfDown)
}

// origin is one push service's host: how much load it can take, and whether it is up.
type origin struct {
	breaker
	// limit is how many pushes may be under way; it doubles per round trip
	// up to threshold and then rises by one.
	limit, threshold float64
	proven           bool // has answered
	// latency is the time that three quarters of the accepted pushes take at least; until a push is
	// accepted, the others count. So endpoints that hang on purpose do not make an origin slow.
	latency time.Duration
	// backlog is when the next recipient that is sent back to the queue could have a turn, at the
	// origin's pace.
	backlog time.Time
	hanging
}

// gate is an origin as seen with one VAPID key: the service may refuse only the key.
type gate struct {
	host, keyID string
	origin      *origin
	key         breaker
	keyProven   bool // an answer was not a refusal
	late        int  // pushes that hang
}

// count adds n waiting jobs.
func (g *gate) count(n int) {
	g.key.queued += n
	g.origin.queued += n
}

type gateKey struct{ host, keyID string }

// admits reports whether a push may start; witness is true for one of those chosen to find out
// whose trouble it is.
func (g *gate) admits(now time.Time, witness bool) bool {
	o := g.origin
	if now.Before(o.until) || now.Before(g.key.until) || g.key.probing && g.key.inFlight > 0 {
		return false
	}
	underway, underKey := o.inFlight-o.late, g.key.inFlight-g.late
	if o.probing {
		return underway == 0 || o.silent(now) && underway < o.confirm()
	}
	if witness {
		return underway < max(int(o.limit)+leastWitnesses, mostSilent)
	}
	if o.waits(now) || g.key.waits(now) || underway >= o.left(int(o.limit)) {
		return false
	}
	most := int(o.limit)
	if !g.keyProven {
		most = min(most, leastRun)
	}
	return underKey < g.key.left(most)
}

// pause returns the longest of the pauses that hold up the gate; until is in the past if there is
// none.
func (g *gate) pause() (until time.Time, why webpush.Reason) {
	if g.key.until.After(g.origin.until) {
		return g.key.until, g.key.why
	}
	return g.origin.until, g.origin.why
}

// answer is the result of one attempt, as its origin sees it.
type answer struct {
	*webpush.Result
	recipient uint64
	began     time.Time
	retry     bool // not the recipient's first attempt
	late      bool // others were answered much sooner
	witness   bool
}

// meaning is the meaning of an answer.
type meaning byte

const (
	meansNothing meaning = iota // nothing was sent
	meansGood                   // accepted
	meansOther                  // refused because of the recipient or the message
	meansOrigin                 // the origin or the recipient is in trouble
	meansKey                    // our key is refused, or only this endpoint refuses it
)

func meaningOf(r *webpush.Result) meaning {
	switch {
	case r.Status == 0 && r.Class == webpush.ClassFailed, r.Reason == webpush.ReasonCanceled:
		return meansNothing
	case r.Class == webpush.ClassAccepted:
		return meansGood
	case r.Class == webpush.ClassOurFault:
		return meansKey
	case r.Class == webpush.ClassLater && (r.PauseOrigin || r.Reason != webpush.ReasonThrottled):
		return meansOrigin
	}
	return meansOther
}

// answered learns from the result of one attempt.
func (g *gate) answered(cfg *Config, now time.Time, a answer) {
	o := g.origin
	o.inFlight--
	g.key.inFlight--
	o.heard, g.key.heard = now, now
	means := meaningOf(a.Result)
	if means == meansNothing {
		return
	}
	if a.Status != 0 {
		o.proven = true
		g.keyProven = g.keyProven || means != meansKey
	}
	switch took := now.Sub(a.began); {
	case means == meansGood && o.acceptedAt.IsZero():
		o.latency = took
	case means == meansGood, o.acceptedAt.IsZero() && (a.Status != 0 || means == meansOrigin):
		o.measure(took)
	}
	switch means {
	case meansGood:
		g.passed(cfg, now, a.recipient)
	case meansOther:
		o.works(cfg, now)
	case meansOrigin:
		g.troubled(&o.breaker, now, a)
		if a.Status != 0 && o.share() >= calmShare {
			o.limit = max(o.limit-1, min(o.limit, calmLimit))
		}
	case meansKey:
		if a.Status != 0 {
			o.works(cfg, now)
		}
		g.troubled(&g.key, now, a)
	}
	g.stopIfBlamed(cfg, now)
}

// passed notes that a push to a recipient was accepted.
func (g *gate) passed(cfg *Config, now time.Time, recipient uint64) {
	o := g.origin
	o.passed(now)
	g.key.passed(now)
	o.mended(recipient)
	g.key.mended(recipient)
	o.acceptedAt = now
	o.grow(cfg)
}

// works notes an answer that shows that the origin works, but not how it would answer others.
func (o *origin) works(cfg *Config, now time.Time) {
	if !now.Before(o.until) {
		o.probing, o.streak = false, 0
	}
	o.grow(cfg)
}

func (o *origin) grow(cfg *Config) {
	if o.limit < o.threshold {
		o.limit++
	} else {
		o.limit += 1 / o.limit
	}
	o.limit = min(o.limit, float64(cfg.PerOrigin))
}

// measure updates the latency: three of four answers that take longer raise it as far as one that
// doesn't lowers it.
func (o *origin) measure(took time.Duration) {
	switch {
	case o.latency == 0:
		o.latency = took
	case took > o.latency:
		o.latency = min(o.latency+o.latency/10+time.Microsecond, took)
	default:
		o.latency = max(o.latency-o.latency/4, took)
	}
}

// troubled notes trouble that is the service's or the recipient's own.
func (g *gate) troubled(b *breaker, now time.Time, a answer) {
	switch {
	case now.Before(b.until):
		return // it was sent before the pause
	case (a.late || a.Status == 0 && b != &g.key) && g.origin.acceptedSince(a.began):
		return // others were accepted while this one was not
	case a.retry && !b.probing:
		return // they had trouble before, when it was not the service's
	}
	b.trouble(vote{recipient: a.recipient, asked: a.RetryAfter, witness: a.witness, why: a.Reason, at: now})
}

// stopIfBlamed pauses the origin or the key if the evidence blames it.
func (g *gate) stopIfBlamed(cfg *Config, now time.Time) {
	o := g.origin
	if v := o.blame(now); v == blameService || v == blameFew {
		longest := doubled(longPause, maxPause, o.streak+1)
		d := min(asked(o.run), longest)
		if d == 0 {
			d = backoff(cfg.RetryMin, cfg.RetryMax, o.streak+1)
		}
		if !o.probing {
			o.threshold = max(o.limit/2, leastLimit)
		}
		o.limit = min(o.limit, firstLimit)
		o.trip(now, d)
		o.handful = v == blameFew || o.handful
	}
	k := &g.key
	if v := k.blame(now); v == blameService || v == blameFew {
		n := len(k.run)
		k.trip(now, backoff(stopFor, max(cfg.RetryMax, stopFor), k.streak+1))
		k.handful = v == blameFew || k.handful
		cfg.Logger.Error("the push service refuses us; sending to it is paused: check the contact, the clock and the VAPID key",
			"service", string(webpush.ServiceOf(g.host)), "host", g.host, "key", g.keyID, "recipients", n, "reason", string(k.why), "until", k.until)
	}
}

// mayHoldUp reports whether recipients of the gate may be holding up others.
func (g *gate) mayHoldUp(now time.Time) bool {
	return g.origin.latency >= slowAnswer || g.origin.probing || g.key.probing || now.Before(g.origin.until)
}

// reserve returns the time at which a recipient that is sent back to the queue may expect a place,
// at the pace at which the origin answers.
func (o *origin) reserve(now time.Time, least, most time.Duration) time.Time {
	if o.backlog.Before(now.Add(least)) || o.backlog.After(now.Add(most)) {
		o.backlog = now.Add(least)
	}
	pace := max(o.latency, time.Millisecond) / time.Duration(max(o.limit, 1))
	o.backlog = o.backlog.Add(pace)
	return o.backlog
}

// backoff returns the wait before the n-th further attempt, from 1: least, doubled each time, up to
// most, plus up to half of that, so that not all come back at once.
func backoff(least, most time.Duration, n int) time.Duration {
	d := doubled(least, most, n)
	return min(d+rand.N(d/2+1), most+most/8)
}

// doubled returns least, doubled n-1 times, up to most.
func doubled(least, most time.Duration, n int) time.Duration {
	for ; n > 1 && least < most; n-- {
		least *= 2
	}
	return min(least, most)
}
