package delivery

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// What it takes to believe that a push service means everybody.
const (
	// leastRun is how many different recipients in a row must be in trouble.
	// It is more than a handful because anybody can subscribe with an endpoint
	// that answers whatever they like.
	leastRun = 16
	// mostRun bounds what a service that has refused many may ask for.
	mostRun = 256
	// mostOfRun is how much of one run counts for how common trouble is: those
	// who stand in a row are not there by chance.
	mostOfRun = 2 * leastRun
	// chance is how probable a run may be that comes about although each
	// recipient in it has a trouble of its own.
	chance = 1e-6
	// leastWitnesses is how many of the run must have been taken from
	// elsewhere: subscriptions that one person made stand in a row.
	leastWitnesses = 8
	// A handful is believed where there is nobody else to ask, and only until
	// there is.
	leastFew = 5
	// leastConfirm, mostConfirm and chanceConfirm are the same for a service
	// that was believed before and is asked again after a pause.
	leastConfirm, mostConfirm = 3, 16
	chanceConfirm             = 0.05
	// forgetVote and forgetHistory are when the past says nothing any more.
	forgetVote    = 5 * time.Minute
	forgetHistory = 10 * time.Minute
	// maxOwn bounds the recipients remembered who have a trouble of their own.
	maxOwn = 1024
)

// vote is one recipient's trouble: an answer that a push service gives to
// everybody, or to this one.
type vote struct {
	recipient uint64        // stands for the recipient's endpoint
	asked     time.Duration // Retry-After; 0 for none
	witness   bool          // chosen because others were in trouble
	why       webpush.Reason
	at        time.Time
}

// evidence decides whose trouble it is: the push service's, or that of single
// recipients. It looks at the different recipients in trouble since somebody
// was last accepted, and at how common trouble is where others are accepted.
// It is pure: the time comes with what it is told.
type evidence struct {
	// past are the last answers whose meaning is known, a bit each, set where
	// it was trouble; known counts them.
	past  [2]uint64
	known int
	last  time.Time
	// run are the recipients in trouble since somebody was accepted.
	run []vote
	// ownTrouble are recipients whose trouble was theirs: others were accepted
	// meanwhile.
	ownTrouble map[uint64]struct{}
	// few is how many are a handful.
	few int
}

// blame is what the evidence says of whose trouble it is.
type blame byte

const (
	// blameNobody: nothing is said against the service.
	blameNobody blame = iota
	// blameUnclear: others are to be asked before anything is believed.
	blameUnclear
	// blameFew: a handful is in trouble, and there is nobody else.
	blameFew
	// blameService: the service is in trouble, or refuses us.
	blameService
)

// trouble takes a vote, and reports whether it counts. That of a recipient
// who is in the run already, or whose trouble is known to be theirs, does not.
func (e *evidence) trouble(v vote) bool {
	e.expire(v.at)
	if _, own := e.ownTrouble[v.recipient]; own || e.inRun(v.recipient) {
		return false
	}
	e.run = append(e.run, v)
	e.last = v.at
	return true
}

// accepted takes in that a recipient was accepted: so the service is at work,
// and who was in trouble meanwhile has a trouble of their own.
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

// mended takes in that the recipient's own trouble is over.
func (e *evidence) mended(recipient uint64) { delete(e.ownTrouble, recipient) }

// believed empties the run, which was the service's trouble: it says nothing
// of how common the recipients' own is.
func (e *evidence) believed() []vote {
	run := e.run
	e.run = nil
	return run
}

// blame reports whose trouble the evidence says it is. again is true where the service was
// believed before and is asked again; nobodyElse where there are no more
// witnesses; idle where nobody waits for the service and nothing is under way.
func (e *evidence) blame(again, nobodyElse, idle bool) blame {
	n := len(e.run)
	switch {
	case n == 0:
	case again:
		if n >= e.confirm() {
			return blameService
		}
	case n >= e.need() && e.witnesses() >= leastWitnesses:
		return blameService
	case nobodyElse:
		if n >= e.few {
			return blameFew
		}
	case e.witnesses() < leastWitnesses && (n >= e.need()/2 || idle && n >= e.few):
		return blameUnclear
	}
	return blameNobody
}

// need is how long the run must be: so long that it is no chance, where as
// many recipients have a trouble of their own as had lately.
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

// unlikely is how many in trouble in a row are less probable than p.
func (e *evidence) unlikely(p float64, least, most int) int {
	// Six of eight are added, as few answers say little of the share.
	share := float64(e.troubled()+6) / float64(e.known+8)
	n := math.Ceil(math.Log(p) / math.Log(share))
	return min(max(int(n), least), most)
}

// share is how many in a hundred of the last answers were trouble while
// others were accepted.
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

// addOwnTrouble remembers that a recipient's trouble is theirs.
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

// expire forgets what is too old to say anything.
func (e *evidence) expire(now time.Time) {
	if now.Sub(e.last) > forgetHistory {
		e.past, e.known = [2]uint64{}, 0
	}
	if len(e.run) > 0 && now.Sub(e.run[0].at) > forgetVote {
		e.run = slices.DeleteFunc(e.run, func(v vote) bool { return now.Sub(v.at) > forgetVote })
	}
}

// asked is the time that a run asks for: the median, as one absurd value must
// not decide; 0 where most name none.
func asked(run []vote) time.Duration {
	if len(run) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(run), func(a, b vote) int { return cmp.Compare(a.asked, b.asked) })
	return sorted[len(sorted)/2].asked
}
