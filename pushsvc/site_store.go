package pushsvc

import (
	"context"
	"time"
)

// SiteStore has what concerns sites as a whole, and the room that the store takes.
type SiteStore interface {
	// RemoveSite removes all that is kept of sites at once: subscriptions, messages
	// and what came of them, people, events, counters, settings, pop-ups and
	// uploads. ErrNotFound where nothing is kept of any. A site may begin again at any
	// time; revisions go on from where they were. The rows' room is given back by
	// Sweep.
	RemoveSite(ctx context.Context, sites ...string) error
	// Sweep gives back the room of at most limit rows of removed sites, and says of
	// how many; 0 is the end.
	Sweep(ctx context.Context, limit int) (int, error)
	// Used says how many bytes the store takes, without room that new rows can have.
	Used(ctx context.Context) (int64, error)
	// BeginMove makes from another name of into, in one transaction: from then on every
	// call that names from means into. Settings and pop-ups have come over when it
	// returns (into's own setting stays; pop-ups as popup.Join says), all other rows do
	// by MoveRows. Subscription ids of from grow by what into had given out. It may be
	// repeated. ErrNotFound where nothing is kept of from; *SiteNameError and
	// ErrSiteMoving as the function BeginMove says, *SiteBusyError where a message of
	// from is not Movable, ErrFull where both together have too many pop-ups or images.
	// Other names of from become names of into; that into was another name of from is
	// forgotten.
	//
	// While rows are on their way, CreateMessage of into, the erasure of its profiles,
	// and RemoveSite of both return ErrSiteMoving. What a browser posts meanwhile brings
	// its own rows over first, so that nothing is there twice, and nobody who leaves
	// comes back: see Subscription.Join and Adopt for what becomes of two rows.
	BeginMove(ctx context.Context, from, into string, at time.Time) (SiteMove, error)
	// MoveRows brings over at most limit rows of a move that BeginMove began, in one
	// transaction, and returns the move as it is then; where Running is false, that was
	// the last. ErrNotFound where there is no such move.
	MoveRows(ctx context.Context, from string, limit int) (SiteMove, error)
	// Moves lists the other names of sites, by From. RemoveSite of such a name removes
	// the name alone, and that of a site its other names too.
	Moves(ctx context.Context) ([]SiteMove, error)
	// ErasePeople erases those profiles of a site that were last seen when the call
	// says, as ErasePerson does, in one transaction, and says how many. Who has come
	// since, or is not there, is passed over.
	ErasePeople(ctx context.Context, site string, people []PersonSeen) (int, error)
}

// PersonSeen is a profile as it was when somebody looked at it.
type PersonSeen struct {
	ID   string
	Seen time.Time
}
