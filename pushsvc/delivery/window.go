package delivery

import (
	"cmp"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// maxWindow is how far reading may be ahead of the first recipient that is not settled; it leaves
// room below pushsvc.MaxSettled for a page.
const maxWindow = pushsvc.MaxSettled * 3 / 4

// window remembers which recipients of a range are settled, so that the range is read on while some
// recipients at its beginning are still under way.
type window struct {
	cursor pushsvc.SubscriptionID // all up to here are settled
	read   pushsvc.SubscriptionID // all up to here are in entries, or settled
	// entries are the recipients above cursor, rising.
	entries []entry
	// ahead are recipients above read, rising, that an earlier engine settled or that are handled
	// before their turn; taken counts the latter.
	ahead []entry
	taken int
}

type entry struct {
	id      pushsvc.SubscriptionID
	settled bool
}

// newWindow begins with the state that a claimed range has stored.
func newWindow(r *pushsvc.Range) window {
	ids := slices.Clone(r.Settled)
	for _, o := range r.Noted {
		if !undecided(o) && o.ID > r.Cursor {
			ids = append(ids, o.ID)
		}
	}
	slices.Sort(ids)
	w := window{cursor: r.Cursor, read: r.Cursor}
	for _, id := range slices.Compact(ids) {
		w.ahead = append(w.ahead, entry{id, true})
	}
	return w
}

// add takes the next recipient in rising order, and reports whether it is still to be handled.
func (w *window) add(id pushsvc.SubscriptionID) bool {
	for len(w.ahead) > 0 && w.ahead[0].id < id {
		// It is no longer there, or can't be read at present.
		w.entries = append(w.entries, w.ahead[0])
		w.ahead = w.ahead[1:]
	}
	e := entry{id: id}
	known := len(w.ahead) > 0 && w.ahead[0].id == id
	if known {
		e, w.ahead = w.ahead[0], w.ahead[1:]
	}
	w.read = id
	w.entries = append(w.entries, e)
	w.trim()
	return !known
}

// take reports whether a recipient above read is still to be handled, and leaves that to the
// caller.
func (w *window) take(id pushsvc.SubscriptionID) bool {
	i, known := find(w.ahead, id)
	if known || id <= w.read {
		return false
	}
	w.ahead = slices.Insert(w.ahead, i, entry{id: id})
	w.taken++
	return true
}

// markSettled notes that a recipient's outcome is recorded.
func (w *window) markSettled(id pushsvc.SubscriptionID) {
	if i, found := find(w.entries, id); found {
		w.entries[i].settled = true
		if i == 0 {
			w.trim()
		}
	} else if i, found := find(w.ahead, id); found {
		w.ahead[i].settled = true
	}
}

func find(entries []entry, id pushsvc.SubscriptionID) (int, bool) {
	return slices.BinarySearchFunc(entries, id, func(e entry, id pushsvc.SubscriptionID) int {
		return cmp.Compare(e.id, id)
	})
}

// trim moves the cursor past the settled recipients at the beginning.
func (w *window) trim() {
	n := 0
	for n < len(w.entries) && w.entries[n].settled {
		w.cursor = w.entries[n].id
		n++
	}
	w.entries = w.entries[n:]
}

// settled returns the ids above the cursor that are handled.
func (w *window) settled() []pushsvc.SubscriptionID {
	var ids []pushsvc.SubscriptionID
	for _, e := range w.entries {
		if e.settled {
			ids = append(ids, e.id)
		}
	}
	for _, e := range w.ahead {
		if e.settled {
			ids = append(ids, e.id)
		}
	}
	return ids[:min(len(ids), pushsvc.MaxSettled)]
}

// room reports whether another page of n may be read.
func (w *window) room(n int) bool { return len(w.entries)+n <= maxWindow }
