package pushsvc

import (
	"context"
	"time"
)

// SiteStore has the operations on whole sites, and the size of the store.
type SiteStore interface {
	// RemoveSite removes everything of the sites at once: subscriptions, messages and their results, people,
	// events, counters, settings, pop-ups and uploads. ErrNotFound if nothing is kept of any. A site may
	// begin again at any time; its revisions go on. Sweep frees the rows' space.
	RemoveSite(ctx context.Context, sites ...string) error
	// Sweep frees the space of at most limit rows of removed sites, and returns how many; 0 is the end.
	Sweep(ctx context.Context, limit int) (int, error)
	// Used returns the store's size in bytes, without space that is free for new rows.
	Used(ctx context.Context) (int64, error)
	// BeginMove makes from another name of into, in one transaction: from then on every call that names from
	// means into.
	//
	//   - Settings and pop-ups have moved when it returns (into's own setting stays; pop-ups as in
	//     popup.Join); MoveRows moves all other rows.
	//   - Subscription ids of from are raised by the number of ids that into had used.
	//   - It may be repeated.
	//   - Other names of from become names of into; if into was another name of from, that is forgotten.
	//   - ErrNotFound if nothing is kept of from; *SiteNameError and ErrSiteMoving as in the function
	//     BeginMove; *SiteBusyError if a message of from is not Movable; ErrFull if both together have too
	//     many pop-ups or images.
	//
	// While rows are moving:
	//
	//   - CreateMessage of into, the erasure of its profiles, and RemoveSite of both return ErrSiteMoving.
	//   - What a browser posts first moves its own rows, so that nothing exists twice and an unsubscribed
	//     visitor stays unsubscribed. Subscription.Join and Adopt merge two rows.
	BeginMove(ctx context.Context, from, into string, at time.Time) (SiteMove, error)
	// MoveRows moves at most limit rows of a move that BeginMove began, in one transaction, and returns the
	// move's new state; Running is false after the last row. ErrNotFound if there is no such move.
	MoveRows(ctx context.Context, from string, limit int) (SiteMove, error)
	// Moves returns the other names of sites, by From. RemoveSite of such a name removes only the name, and
	// that of a site removes its other names too.
	Moves(ctx context.Context) ([]SiteMove, error)
	// ErasePeople erases, as ErasePerson does, the given profiles of a site whose Seen is unchanged, in one
	// transaction, and returns how many. Others are skipped.
	ErasePeople(ctx context.Context, site string, people []PersonSeen) (int, error)
}

// PersonSeen is a profile as it was when the caller read it.
type PersonSeen struct {
	ID   string
	Seen time.Time
}
