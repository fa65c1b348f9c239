package pushsvc

import (
	"context"
	"time"
)

// Store keeps everything. Each method is one transaction: it has happened
// wholly and durably when the method returns nil. An error other than the
// sentinels says that the outcome is unknown, so that callers may repeat the
// call: every write is idempotent. Methods may be called by many goroutines.
type Store interface {
	SubscriptionStore
	MessageStore
	KeyStore

	// Close waits for running transactions and releases the store. Later
	// calls of other methods give ErrClosed.
	Close() error
}

// SubscriptionStore keeps subscriptions by site.
type SubscriptionStore interface {
	// PutSubscription inserts the subscription, or refreshes the one of the
	// same site and endpoint: Seen, KeyID, Expiration, Language, TimeZone,
	// Page. The keys of a known endpoint never change unless sub.Auth is
	// the stored one (else the call changes nothing and succeeds: an
	// endpoint alone must not let anybody re-key it, security note T12).
	// sub.ID is ignored; the stored row, with its ID, is returned. Where
	// replaces is not nil and proves a subscription of the same site, that
	// one is removed in the same transaction, and its Created is kept (the
	// earlier of the two where sub is known as well). A proof of sub's own
	// endpoint lets sub bring new keys, under a new ID. Created and Seen are
	// kept to the second, Expiration to the millisecond.
	PutSubscription(ctx context.Context, sub Subscription, replaces *Proof) (Subscription, error)
	// DeleteSubscription removes one by id; ErrNotFound where there is none.
	DeleteSubscription(ctx context.Context, site string, id SubscriptionID) error
	// DeleteProven removes the subscription that the proof holds and says
	// whether there was one. A wrong auth secret removes nothing.
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

// Idempotency makes a repeated request harmless. The zero value is none.
type Idempotency struct {
	// Key is the client's, at most 255 bytes; it counts per site.
	Key string
	// RequestHash tells whether a repeated key carries the same request.
	RequestHash [32]byte
	// Expires is when the key may be forgotten.
	Expires time.Time
}

// MessageStore keeps messages and their progress.
type MessageStore interface {
	// CreateMessage stores a queued message for all present subscriptions
	// of its site: it sets Until and the audience's count, and returns the
	// row. With an idempotency key seen before, and not yet expired at
	// m.Created, it returns the row made then, created false; with the same
	// key but another hash, ErrIdempotencyConflict. A message whose ID the
	// site has already is returned as it is, created false, so that a call
	// may be repeated without a key too. ErrNotFound where the site is
	// unknown. Of m only ID, Site, Content and Created count.
	CreateMessage(ctx context.Context, m Message, idem Idempotency) (row Message, created bool, err error)
	// Message gives one; ErrNotFound.
	Message(ctx context.Context, site, id string) (Message, error)
	// MessagePage gives at most limit messages of the site with ids below
	// before (all where empty), the newest first.
	MessagePage(ctx context.Context, site, before string, limit int) ([]Message, error)
	// Unfinished gives at most limit messages of all sites that are not
	// done, the oldest (lowest id) first.
	Unfinished(ctx context.Context, limit int) ([]Message, error)
	// Claim leases the message to owner until the given time and raises its
	// epoch, by compare-and-set: ErrLeaseHeld where a lease, even the
	// owner's own, has not run out at now (it has at its very end),
	// ErrNotFound where it is gone or done. A queued message
	// becomes sending.
	Claim(ctx context.Context, site, id, owner string, now, until time.Time) (Message, error)
	// Checkpoint applies c and returns the row; ErrLeaseLost where the
	// epoch is not the row's, or the message is done; ErrNotFound where it is
	// gone. A checkpoint that equals the last one applied in every field, At
	// included, is a repetition and changes nothing. The cursor never moves
	// back. Counts beyond Pending raise Audience, so that the sum balances.
	Checkpoint(ctx context.Context, c Checkpoint) (Message, error)
	// AddReceipts counts each (message, subscription, kind) once, ever, and
	// says how many were new. Receipts for messages that the site does not
	// have are passed over.
	AddReceipts(ctx context.Context, site string, receipts []Receipt) (int, error)
}

// KeyStore keeps the VAPID key ring with the subscriptions, so that one
// backup holds both.
type KeyStore interface {
	// EnsureKey returns the current key. Where the ring is empty it stores
	// what generate gives and makes it current, unless subscriptions exist:
	// then ErrKeyLost.
	EnsureKey(ctx context.Context, generate func() (Key, error)) (Key, error)
	// ImportKey adds the pair to the ring, or finds it there, and makes it
	// current. A key in the ring keeps its date; another pair with its ID is
	// refused. Where Created is zero, the store dates the key.
	ImportKey(ctx context.Context, key Key) (Key, error)
	// Keys lists the ring, the current one first, then from the oldest.
	Keys(ctx context.Context) ([]Key, error)
	// Secret is 32 random bytes, made once, that sign receipt tokens.
	Secret(ctx context.Context) ([]byte, error)
}
