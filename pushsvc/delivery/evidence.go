package delivery

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// The evidence that a push service's answer is meant for all recipients.
const (
	// leastRun is how many different recipients in a row must be in trouble. It is large, because
	// any visitor can subscribe with an endpoint that answers whatever they like.
	leastRun = 16
	// mostRun limits the number that a service that has refused many may require.
	mostRun = 256
	// mostOfRun is how much of one run counts for how common trouble is: a row of recipients in
	// trouble is no coincidence.
	mostOfRun = 2 * leastRun
	// chance is how probable a run may be if each recipient in it has a trouble of its own.
	chance = 1e-6
	// leastWitnesses is how many of the run must have been taken from elsewhere in the audience:
	// subscriptions that one person made are next to each other.
	leastWitnesses = 8
	// A handful is believed if there are no others to ask, and only as long as that is so.
	leastFew = 5
	// leastConfirm, mostConfirm and chanceConfirm are the same for a service that was believed
	// before and is asked again after a pause.
	leastConfirm, mostConfirm = 3, 16
	chanceConfirm             = 0.05
	// forgetVote and forgetHistory are the ages from which the past no longer counts.
	forgetVote    = 5 * time.Minute
	forgetHistory = 10 * time.Minute
	// maxOwn bounds the remembered recipients with a trouble of their own.
	maxOwn = 1024
)

// vote is one recipient's trouble: an answer that a push service returns either to all recipients
// or only to this one.
type vote struct {
	recipient uint64        // represents the recipient's endpoint
	asked     time.Duration // Retry-After; 0 for none
	witness   bool          // chosen because others were in trouble
	why       webpush.Reason
	at        time.Time
}

// evidence decides whose trouble it is: the push service's, or that of single recipients. It counts
// the different recipients in trouble since a push was last accepted, and how common trouble is
// while others are accepted. It is pure: its callers pass the time.
type evidence struct {
	// past are the last answers whose meaning is known, a bit each, set if it was trouble; known
	// counts them.
	past  [2]uint64
	known int
	last  time.Time
	// run are the recipients in trouble since a push was last accepted.
	run []vote
	// ownTrouble are recipients whose trouble was their own: others were accepted meanwhile.
	ownTrouble map[uint64]struct{}
	// few is how many are a handful.
	few int
}

// blame is whose trouble the evidence shows.
type blame byte

const (
	// blameNone: nothing speaks against the service.
	blameNone blame = iota
	// blameUnclear: others must be asked first.
	blameUnclear
	// blameFew: a handful is in trouble, and there are no others to ask.
	blameFew
	// blameService: the service is in trouble, or refuses us.
	blameService
)

// trouble takes a vote, and reports whether it counts. The vote of a recipient who is in the run
// already, or whose trouble is known to be its own, does not.
func (e *evidence) trouble(v vote) bool {
	e.expire(v.at)
	if _, own := e.ownTrouble[v.recipient]; own || e.inRun(v.recipient) {
		return false
	}
	e.run = append(e.run, v)
	e.last = v.at
	return true
}

// accepted notes that a push to a recipient was accepted: the service works, and recipients in
// trouble meanwhile have a trouble of their own.
func (e *evidence) accepted(now time.Time) {
	e.expire(now)
	for i := range e.run {
		if i < mostOfRun {
			e.push(true)
		}
		e.addOwnTrouble(e.run[i].recipient)
	}
	e.run = e.run[:0]
	e.push(false)
	e.last = now
}

// mended notes that the recipient's own trouble is over.
func (e *evidence) mended(recipient uint64) { delete(e.ownTrouble, recipient) }

// believed empties the run, which was the service's trouble: it does not show how common the
// recipients' own trouble is.
func (e *evidence) believed() []vote {
	run := e.run
	e.run = nil
	return run
}

// blame returns whose trouble it is. again is true if the service was believed before and is asked
// again; noOthers if there are no more witnesses; idle if no recipient waits for the service and
// nothing is under way.
func (e *evidence) blame(again, noOthers, idle bool) blame {
	n := len(e.run)
	switch {
	case n == 0:
	case again:
		if n >= e.confirm() {
			return blameService
		}
	case n >= e.need() && e.witnesses() >= leastWitnesses:
		return blameService
	case noOthers:
		if n >= e.few {
			return blameFew
		}
	case e.witnesses() < leastWitnesses && (n >= e.need()/2 || idle && n >= e.few):
		return blameUnclear
	}
	return blameNone
}

// need returns how long the run must be to be no coincidence, if as many recipients have a trouble
// of their own as had lately.
func (e *evidence) need() int {
	if e.known == 0 {
		return leastRun
	}
	return e.unlikely(chance, leastRun, mostRun)
}

func (e *evidence) confirm() int {
	if e.known == 0 {
		return leastConfirm
	}
	return e.unlikely(chanceConfirm, leastConfirm, mostConfirm)
}

// unlikely returns the length from which a run of trouble is less probable than p.
func (e *evidence) unlikely(p float64, least, most int) int {
	// Six of eight are added, because few answers show little of the share.
	share := float64(e.troubled()+6) / float64(e.known+8)
	n := math.Ceil(math.Log(p) / math.Log(share))
	return min(max(int(n), least), most)
}

// share returns how many in a hundred of the last answers were trouble while others were accepted.
func (e *evidence) share() int { return 100 * e.troubled() / max(e.known, 1) }

func (e *evidence) troubled() int { return bits.OnesCount64(e.past[0]) + bits.OnesCount64(e.past[1]) }

func (e *evidence) witnesses() (n int) {
	for i := range e.run {
		if e.run[i].witness {
			n++
		}
	}
	return n
}

func (e *evidence) inRun(recipient uint64) bool {
	return slices.ContainsFunc(e.run, func(v vote) bool { return v.recipient == recipient })
}

// push appends an answer to the past.
func (e *evidence) push(trouble bool) {
	e.past[1] = e.past[1]<<1 | e.past[0]>>63
	e.past[0] <<= 1
	if trouble {
		e.past[0] |= 1
	}
	e.known = min(e.known+1, 128)
}

// addOwnTrouble remembers that a recipient's trouble is its own.
func (e *evidence) addOwnTrouble(recipient uint64) {
	if e.ownTrouble == nil {
		e.ownTrouble = make(map[uint64]struct{})
	}
	for old := range e.ownTrouble {
		if len(e.ownTrouble) < maxOwn {
			break
		}
		delete(e.ownTrouble, old)
	}
	e.ownTrouble[recipient] = struct{}{}
}

// expire removes evidence that is too old.
func (e *evidence) expire(now time.Time) {
	if now.Sub(e.last) > forgetHistory {
		e.past, e.known = [2]uint64{}, 0
	}
	if len(e.run) > 0 && now.Sub(e.run[0].at) > forgetVote {
		e.run = slices.DeleteFunc(e.run, func(v vote) bool { return now.Sub(v.at) > forgetVote })
	}
}

// asked returns the time that a run asks for: the median, because one absurd value must
// not decide; 0 if most name none.
func asked(run []vote) time.Duration {
	if len(run) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(run), func(a, b vote) int { return cmp.Compare(a.asked, b.asked) })
	return sorted[len(sorted)/2].asked
}
