package pushsvc

import (
	"context"
	"time"
)

// SubscriptionStore keeps subscriptions by site.
//
// Ids rise in the order in which subscriptions become visible: once one is seen, none
// with a lower id appears. So a reader that goes on above the highest id misses nobody,
// and the ids up to the highest at the time of CreateMessage are the message's audience.
// They are dense within a site: at least every second one has been a subscription's, so
// that ranges of ids hold even shares of an audience.
type SubscriptionStore interface {
	// PutSubscription inserts the subscription, or refreshes the one of the
	// same site and endpoint: Seen, KeyID, Expiration, Language, TimeZone,
	// Page, and Topics where they are not nil. The keys of a known endpoint never change unless sub.Auth is
	// the stored one (else the call changes nothing and succeeds: an
	// endpoint alone must not let anybody re-key it; that takes as long as
	// storing a new one). sub.ID is ignored,
	// Doubted is cleared; the stored row, with its ID, is returned. Where
	// replaces is not nil and proves a subscription of the same site, sub
	// takes its place in the same transaction, with its ID and Created: it
	// is the same recipient, also of messages on their way, and keeps its
	// Topics where sub's are nil. Where sub is
	// known as well, it keeps its own ID and the earlier Created, and the
	// proven one is removed. A proof of sub's own endpoint lets sub bring
	// new keys. A zero Device leaves a known one. Created and Seen are kept to the second, Expiration to the
	// millisecond.
	PutSubscription(ctx context.Context, sub Subscription, replaces *Proof) (Subscription, error)
	// ImportSubscriptions is PutSubscription for many, in one transaction,
	// without proofs: a known endpoint with other keys changes nothing. Their
	// Site is the call's; Created, Seen and Doubted of new ones are kept as
	// given. What is known and was seen later than the imported one says is
	// left as it is; what was seen earlier loses its Doubted. Topics are kept
	// where the imported one's are nil.
	ImportSubscriptions(ctx context.Context, site string, subs []Subscription) (Imported, error)
	// DeleteSubscription removes one by id; ErrNotFound where there is none.
	DeleteSubscription(ctx context.Context, site string, id SubscriptionID) error
	// DeleteProven removes the subscription that the proof holds and says
	// whether there was one. A wrong auth secret removes nothing. Each takes as
	// long.
	DeleteProven(ctx context.Context, site string, proof Proof) (bool, error)
	// SubscriptionPage gives at most limit subscriptions of the site with
	// ids above after, in rising order. An empty page is the end. A row that
	// can't be read is passed over: it must not hold up the others.
	SubscriptionPage(ctx context.Context, site string, after SubscriptionID, limit int) ([]Subscription, error)
	// Sites lists all sites that have or had a subscription, by name.
	Sites(ctx context.Context) ([]SiteSummary, error)
	// Site gives one; ErrNotFound where it never had a subscription.
	Site(ctx context.Context, site string) (SiteSummary, error)
}

// Imported counts what became of imported subscriptions.
type Imported struct {
	// Added are new, Known had been there before (and may have been
	// refreshed), Conflicting have a known endpoint but other keys and were
	// left out.
	Added, Known, Conflicting int
}

// Idempotency makes a repeated request harmless. The zero value is none.
type Idempotency struct {
	// Key is the client's, at most 255 bytes; it counts per site.
	Key string
	// RequestHash tells whether a repeated key carries the same request.
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
	// CreateMessage stores a message for all present subscriptions of its
	// site (or the one in m.Only; ErrNotFound where it is not there), plans
	// its ranges, sets the audience's count and the state (scheduled where
	// SendAt is after Created, else queued), and returns the row. With an
	// idempotency key seen before, and not yet expired at m.Created, it
	// returns the row made then (unless that has been pruned), created false; with the same key but another
	// hash, ErrIdempotencyConflict. A message whose ID the site has already
	// is returned as it is, created false, so that a call may be repeated
	// without a key too. ErrNotFound where the site is unknown. Of m only
	// ID, Site, Content, SendAt, Rate, Only, Topics and Created count. Topics
	// change nothing of the plan.
	CreateMessage(ctx context.Context, m Message, idem Idempotency) (row Message, created bool, err error)
	// Message gives one; ErrNotFound.
	Message(ctx context.Context, site, id string) (Message, error)
	// MessagePage gives at most limit messages of the site with ids below
	// before (all where empty), the newest first.
	MessagePage(ctx context.Context, site, before string, limit int) ([]Message, error)
	// Unfinished returns at most limit messages of all sites with ids above
	// after (all where empty), the lowest id first, that are not Idle.
	Unfinished(ctx context.Context, after string, limit int) ([]Message, error)
	// Control carries out an operator's command and returns the row, or
	// ErrWrongState, or ErrNotFound. Pause of what is paused and cancel of
	// what is cancelling or cancelled return the row; resume makes a message
	// that had begun sending, another queued or scheduled. A cancelled message is cancelling until
	// the leases on its ranges have been given back or have run out, which
	// Control itself and every later Claim and Checkpoint look at; then
	// Pending and Later become Cancelled, and the state is cancelled. at is
	// the command's time by the caller's clock, which Finished then is.
	Control(ctx context.Context, site, id string, command Command, at time.Time) (Message, error)
	// Claim leases a range of the message to owner for so long and raises the
	// range's epoch: the LaterRange where something in it is due, else one
	// that is not done; never one whose lease, even the owner's own, has not
	// run out (it has at its very end). ErrNothingDue where there is none, or
	// the message is paused, scheduled for later, or cancelling: the
	// message's row is returned with that error, so that a caller sees
	// NextTry, and a cancelling message that this call has made cancelled.
	// ErrNotFound where it is gone or final. A queued or scheduled message
	// becomes sending.
	Claim(ctx context.Context, site, id, owner string, lease time.Duration) (Message, Range, error)
	// RangePage gives at most limit subscriptions of a claimed range with ids
	// above after, in rising order; empty at its end. Ids that are in
	// r.Settled may be among them. A row that can't be read is passed over.
	RangePage(ctx context.Context, r Range, after SubscriptionID, limit int) ([]Subscription, error)
	// LaterPage returns at most limit recipients of the LaterRange that are
	// due, the earliest first, also those that have been noted; none where
	// the message is final, ErrNotFound where it is gone.
	LaterPage(ctx context.Context, site, id string, limit int) ([]Retry, error)
	// Note records outcomes at once and cheaply, without the durability of a
	// transaction: they survive the death of the process, though maybe not
	// that of the machine, and come back as Range.Noted unless a checkpoint
	// of the range has settled the id since; so it may be called while a
	// checkpoint without them is being written. It bounds how many are sent
	// to twice after a crash. A store may keep nothing. ErrLeaseLost where
	// the epoch is not the range's, or the range or message is done. Of r
	// only Site, MessageID, N and Epoch count.
	Note(ctx context.Context, r Range, outcomes []Outcome) error
	// Checkpoint applies c and returns both rows, Noted empty; ErrLeaseLost where the
	// epoch is not the range's, or the range or message is done; ErrNotFound
	// where it is gone. A checkpoint that equals the range's last one applied
	// in every field, At included, is a repetition and changes nothing.
	// Outcomes beyond Pending raise Audience, so that the sum balances. When
	// all ranges are done, who is still pending is counted as Left; when the
	// LaterRange is empty too, the message is done.
	Checkpoint(ctx context.Context, c Checkpoint) (Message, Range, error)
	// AddReceipts counts each subscription and kind of a message once, ever,
	// and returns how many were new; 0 where the site does not have the message.
	AddReceipts(ctx context.Context, site, id string, receipts []Receipt) (int, error)
	// Prunable lists at most limit messages of all sites that finished before
	// the given time.
	Prunable(ctx context.Context, before time.Time, limit int) ([]MessageName, error)
	// PruneMessage removes one that is Prunable, with all that belongs to it;
	// false where it is not, or not there.
	PruneMessage(ctx context.Context, name MessageName, before time.Time) (bool, error)
}

// KeyStore keeps the VAPID key ring with the subscriptions, so that one
// backup holds both.
type KeyStore interface {
	// EnsureKey returns the current key. Where the ring is empty it stores
	// what generate gives and makes it current, unless subscriptions exist:
	// then ErrKeyLost.
	EnsureKey(ctx context.Context, generate func() (Key, error)) (Key, error)
	// ImportKey adds the pair to the ring, or finds it there. It makes it the
	// current one where that is asked for, or where the ring has none; else
	// the current one stays. A key in the ring keeps its date; another pair
	// with its ID is refused. Where Created is zero, the store dates the key.
	ImportKey(ctx context.Context, key Key, current bool) (Key, error)
	// Keys lists the ring, the current one first, then from the oldest.
	Keys(ctx context.Context) ([]Key, error)
	// Secret is 32 random bytes, made once, that sign receipt tokens.
	Secret(ctx context.Context) ([]byte, error)
}
