package delivery

import (
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// maxWindow is how far reading may be ahead of the first recipient who is not
// settled; it leaves room below pushsvc.MaxSettled for a page.
const maxWindow = pushsvc.MaxSettled * 3 / 4

// window remembers which recipients of a range are settled, so that the range
// is read on while some of its beginning are still under way.
type window struct {
	cursor pushsvc.SubscriptionID // all up to here are settled
	read   pushsvc.SubscriptionID // all up to here are in entries, or settled
	// entries are the recipients above cursor, rising.
	entries []entry
	// ahead are ids above read that an earlier engine settled, rising.
	ahead []pushsvc.SubscriptionID
}

type entry struct {
	id      pushsvc.SubscriptionID
	settled bool
}

// newWindow begins with what a claimed range says of itself.
func newWindow(r *pushsvc.Range) window {
	ahead := slices.Clone(r.Settled)
	for _, o := range r.Noted {
		if !toBeAsked(o) && o.ID > r.Cursor {
			ahead = append(ahead, o.ID)
		}
	}
	slices.Sort(ahead)
	return window{cursor: r.Cursor, read: r.Cursor, ahead: slices.Compact(ahead)}
}

// add takes in the next recipient in rising order, and says whether it is yet
// to be dealt with.
func (w *window) add(id pushsvc.SubscriptionID) bool {
	for len(w.ahead) > 0 && w.ahead[0] < id {
		// It is no longer there, or can't be read at present.
		w.entries = append(w.entries, entry{w.ahead[0], true})
		w.ahead = w.ahead[1:]
	}
	settled := len(w.ahead) > 0 && w.ahead[0] == id
	if settled {
		w.ahead = w.ahead[1:]
	}
	w.read = id
	w.entries = append(w.entries, entry{id, settled})
	w.trim()
	return !settled
}

// settle marks a recipient as dealt with.
func (w *window) settle(id pushsvc.SubscriptionID) {
	i, found := slices.BinarySearchFunc(w.entries, id, func(e entry, id pushsvc.SubscriptionID) int {
		switch {
		case e.id < id:
			return -1
		case e.id > id:
			return 1
		}
		return 0
	})
	if found {
		w.entries[i].settled = true
		if i == 0 {
			w.trim()
		}
	}
}

// trim moves the cursor over what is settled at the beginning.
func (w *window) trim() {
	n := 0
	for n < len(w.entries) && w.entries[n].settled {
		w.cursor = w.entries[n].id
		n++
	}
	w.entries = w.entries[n:]
}

// settled gives the ids above the cursor that are dealt with.
func (w *window) settled() []pushsvc.SubscriptionID {
	var ids []pushsvc.SubscriptionID
	for _, e := range w.entries {
		if e.settled {
			ids = append(ids, e.id)
		}
	}
	ids = append(ids, w.ahead...)
	return ids[:min(len(ids), pushsvc.MaxSettled)]
}

// room says whether another page of n may be read.
func (w *window) room(n int) bool { return len(w.entries)+n <= maxWindow }
