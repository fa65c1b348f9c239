package pushsvc

import "errors"

// Sentinel errors of the stores. They are wrapped; test with errors.Is.
var (
	// ErrNotFound means that the row does not exist.
	ErrNotFound = errors.New("not found")
	// ErrKeyLost means that subscriptions exist but not the key that they were made with. A new key would
	// orphan them all.
	ErrKeyLost = errors.New("subscriptions exist but their VAPID key is missing: restore the store from a backup, or import the key pair with 'caddy webpush keys import'")
	// ErrNothingDue means that there is nothing to claim now: all is leased to engines, or due later.
	ErrNothingDue = errors.New("nothing is due")
	// ErrWrongState means that a command does not fit the message's state.
	ErrWrongState = errors.New("the message's state does not allow that")
	// ErrLeaseLost means that another engine has taken over this engine's lease, so nothing was written.
	ErrLeaseLost = errors.New("lease lost")
	// ErrIdempotencyConflict means that an idempotency key was used before with another request.
	ErrIdempotencyConflict = errors.New("idempotency key was used with a different request")
	// ErrRevision means that the row is not the one that the caller saw last.
	ErrRevision = errors.New("it has been changed meanwhile")
	// ErrStalled means that the disk does not answer. The write may still happen later: every write may be
	// repeated.
	ErrStalled = errors.New("the store's disk does not answer")
	// ErrBusy means that the maximum number of writes already waits for the disk.
	ErrBusy = errors.New("too many writes wait for the store's disk")
	// ErrClosed means that the store has been closed.
	ErrClosed = errors.New("store is closed")
)

// FieldError is a fault in one field of an input. Its text may be shown to the sender and logged, so it never
// contains a value that could be an endpoint, a key or an identity.
type FieldError struct {
	// Field is the path of the field as the sender spelled it, such as
	// "keys.p256dh" or "actions[1].url".
	Field string
	// Problem is the fault and the cure.
	Problem string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }
