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
