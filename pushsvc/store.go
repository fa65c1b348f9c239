package pushsvc

import (
	"context"
	"time"
)

// SubscriptionStore keeps subscriptions by site.
//
// Ids rise in the order in which subscriptions become visible: once one is seen, none with a lower id
// appears. So a reader that continues above the highest id misses no subscription, and the ids up to the
// highest at the time of CreateMessage are the message's audience. They are dense within a site: at least
// every second one has been a subscription's, so that ranges of ids are even shares of an audience.
type SubscriptionStore interface {
	// PutSubscription inserts the subscription, or refreshes the one of the same site and endpoint, and
	// returns the stored row with its ID.
	//
	//   - A refresh updates Seen, KeyID, Expiration, Language, TimeZone, Page, and Topics if they are not
	//     nil. It clears Doubted. sub.ID is ignored. A zero Device leaves a known one.
	//   - The keys of a known endpoint only change if sub.Auth is the stored one. Otherwise the call succeeds
	//     without a change, and takes as long as storing a new one: an endpoint alone must not allow changing
	//     the keys.
	//   - If replaces proves a subscription of the same site, sub replaces it in the same transaction, with
	//     its ID and Created: it is the same recipient, also of messages being sent. It keeps its Topics if
	//     sub's are nil.
	//   - If sub is known as well, it keeps its own ID and the earlier Created, and the proven one is
	//     removed.
	//   - A proof of sub's own endpoint allows new keys.
	//   - Created and Seen are kept in seconds, Expiration in milliseconds.
	PutSubscription(ctx context.Context, sub Subscription, replaces *Proof) (Subscription, error)
	// ImportSubscriptions is PutSubscription for many, in one transaction, without proofs.
	//
	//   - A known endpoint with other keys changes nothing.
	//   - Their Site is the call's; Created, Seen and Doubted of new ones are kept.
	//   - A known one that was seen later than the imported one stays as it is; one that was seen earlier
	//     loses its Doubted.
	//   - Topics are kept if the imported one's are nil.
	ImportSubscriptions(ctx context.Context, site string, subs []Subscription) (Imported, error)
	// DeleteSubscription removes one by id; ErrNotFound.
	DeleteSubscription(ctx context.Context, site string, id SubscriptionID) error
	// DeleteProven removes the subscription that the proof holds, and reports whether there was one. A wrong
	// auth secret removes nothing. All cases take equally long.
	DeleteProven(ctx context.Context, site string, proof Proof) (bool, error)
	// SubscriptionPage returns at most limit subscriptions of the site with ids above after, in rising order.
	// An empty page is the end. A row that can't be read is skipped: it must not hold up the others.
	SubscriptionPage(ctx context.Context, site string, after SubscriptionID, limit int) ([]Subscription, error)
	// Sites returns all sites that have or had a subscription, by name.
	Sites(ctx context.Context) ([]SiteSummary, error)
	// Site returns a site; ErrNotFound if it never had a subscription or a message.
	Site(ctx context.Context, site string) (SiteSummary, error)
}

// Imported counts imported subscriptions by result.
type Imported struct {
	// Added are new, Known existed before (and may have been refreshed), Conflicting have a known endpoint
	// but other keys and were left out.
	Added, Known, Conflicting int
}

// Idempotency makes a repeated request harmless. The zero value means none.
type Idempotency struct {
	// Key is the client's, at most 255 bytes; it counts per site.
	Key string
	// RequestHash shows whether a repeated key has the same request.
	RequestHash [32]byte
	// Expires is when the key may be forgotten.
	Expires time.Time
}

// MessageStore keeps messages, the ranges of their audience, and progress.
//
// It is made for several engines in several processes over one database:
//
//   - A range is leased by compare-and-set with an epoch, and nothing needs a lock that
//     outlives a call.
//   - Leases and due times are stamped and compared by the store's clock; callers name
//     durations. An engine measures its lease by its own clock, from before the call.
//   - No call writes to more than one message.
//   - A call that locks rows locks them in this order, and those of one kind by rising
//     id: the site's counts, the message, its ranges, its retries, its receipts,
//     subscriptions, people.
type MessageStore interface {
	// CreateMessage stores a message for all present subscriptions of its site, or for the one in m.Only. It
	// plans the ranges, sets the audience's count and the state (scheduled if SendAt is after Created, else
	// queued), and returns the row.
	//
	//   - An idempotency key seen before, and not yet expired at m.Created, returns the earlier row (unless
	//     it has been pruned), created false; with another hash, ErrIdempotencyConflict.
	//   - A message whose ID the site already has is returned as it is, created false, so that a call may be
	//     repeated without a key too.
	//   - ErrNotFound if m.Only is unknown. A site without a row gets one.
	//   - Of m it only uses ID, Site, Content, SendAt, Rate, Only, Topics and Created. Topics don't affect
	//     the plan.
	CreateMessage(ctx context.Context, m Message, idem Idempotency) (row Message, created bool, err error)
	// Message returns a message; ErrNotFound.
	Message(ctx context.Context, site, id string) (Message, error)
	// MessagePage returns at most limit messages of the site with ids below before (all if empty), the newest
	// first.
	MessagePage(ctx context.Context, site, before string, limit int) ([]Message, error)
	// Unfinished returns at most limit messages of all sites with ids above after (all if empty), the lowest
	// id first, that are not Idle.
	Unfinished(ctx context.Context, after string, limit int) ([]Message, error)
	// Control carries out an operator's command and returns the row, or ErrWrongState, or ErrNotFound.
	//
	//   - Pausing a paused message, and cancelling a cancelling or cancelled one, return the row.
	//   - Resuming makes a message that had begun sending, another one queued or scheduled.
	//   - A cancelled message is cancelling until the leases on its ranges have been released or have run
	//     out, which Control itself and every later Claim and Checkpoint check. Then Pending and Later become
	//     Cancelled, and the state is cancelled.
	//   - at is the command's time by the caller's clock; it becomes Finished.
	Control(ctx context.Context, site, id string, command Command, at time.Time) (Message, error)
	// Claim leases a range of the message to owner for the duration and raises the range's epoch. It takes
	// the LaterRange if something in it is due, else one that is not done; never one whose lease, even the
	// owner's own, has not run out (at its very end it has). A queued or scheduled message becomes sending.
	//
	//   - ErrNothingDue if no range can be claimed, or the message is paused, scheduled for later, or cancelling. The
	//     message's row is returned with that error, so that a caller sees NextTry, and a message that this
	//     call has made cancelled.
	//   - ErrNotFound if it is gone or final.
	Claim(ctx context.Context, site, id, owner string, lease time.Duration) (Message, Range, error)
	// RangePage returns at most limit subscriptions of a claimed range with ids above after, in rising order;
	// empty at its end. Ids in r.Settled may be among them. A row that can't be read is skipped.
	RangePage(ctx context.Context, r Range, after SubscriptionID, limit int) ([]Subscription, error)
	// LaterPage returns at most limit recipients of the LaterRange that are due, the earliest first,
	// including noted ones; none if the message is final, ErrNotFound if it is gone.
	LaterPage(ctx context.Context, site, id string, limit int) ([]Retry, error)
	// Note records outcomes at once and cheaply, without the durability of a transaction. It bounds the
	// number of duplicate pushes after a crash.
	//
	//   - Outcomes survive the death of the process, but maybe not that of the machine, and come back as
	//     Range.Noted unless a checkpoint of the range has settled the id since. So it may be called while a
	//     checkpoint without them is being written.
	//   - A store may keep nothing.
	//   - ErrLeaseLost if the epoch is not the range's, or the range or message is done.
	//   - Of r it only uses Site, MessageID, N and Epoch.
	Note(ctx context.Context, r Range, outcomes []Outcome) error
	// Checkpoint applies c and returns both rows, with empty Noted.
	//
	//   - ErrLeaseLost if the epoch is not the range's, or the range or message is done; ErrNotFound if it is
	//     gone.
	//   - A checkpoint that equals the range's last applied one in every field, including At, is a repetition
	//     and changes nothing.
	//   - Outcomes beyond Pending raise Audience, so that the sum balances.
	//   - When all ranges are done, pending recipients count as Left; when the LaterRange is empty too, the
	//     message is done.
	Checkpoint(ctx context.Context, c Checkpoint) (Message, Range, error)
	// AddReceipts counts each subscription and kind of a message once, and returns how many were new; 0 if
	// the site does not have the message.
	AddReceipts(ctx context.Context, site, id string, receipts []Receipt) (int, error)
	// Prunable returns at most limit messages of all sites that finished before the given time.
	Prunable(ctx context.Context, before time.Time, limit int) ([]MessageName, error)
	// PruneMessage removes a Prunable message with everything that belongs to it; false if it is not Prunable
	// or does not exist.
	PruneMessage(ctx context.Context, name MessageName, before time.Time) (bool, error)
}

// KeyStore keeps the VAPID key ring with the subscriptions, so that one backup has both.
type KeyStore interface {
	// EnsureKey returns the current key. If the ring is empty it stores the result of generate and makes it
	// current, unless subscriptions exist: then ErrKeyLost.
	EnsureKey(ctx context.Context, generate func() (Key, error)) (Key, error)
	// ImportKey adds the pair to the ring, or finds it there. It becomes the current one if current is true
	// or the ring has none. A key in the ring keeps its date; another pair with its ID is refused. If Created
	// is zero, the store sets it.
	ImportKey(ctx context.Context, key Key, current bool) (Key, error)
	// Keys returns the ring, the current one first, then from the oldest.
	Keys(ctx context.Context) ([]Key, error)
	// Secret returns 32 random bytes, made once, that sign receipt tokens.
	Secret(ctx context.Context) ([]byte, error)
}
