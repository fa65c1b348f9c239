package pushsvc

import "errors"

// Sentinel errors of the stores. They are wrapped; test with errors.Is.
var (
	// ErrNotFound says that the row asked for is not there.
	ErrNotFound = errors.New("not found")
	// ErrKeyLost says that subscriptions exist but the key they were made
	// with does not. Making a new one would orphan them all.
	ErrKeyLost = errors.New("subscriptions exist but their VAPID key is missing: restore the store from a backup, or import the key pair with 'caddy webpush keys import'")
	// ErrNothingDue says that there is nothing to claim at present: all is
	// leased to engines, or due later.
	ErrNothingDue = errors.New("nothing is due")
	// ErrWrongState says that a command does not fit the message's state.
	ErrWrongState = errors.New("the message's state does not allow that")
	// ErrLeaseLost says that this engine's lease has been taken over, so
	// nothing was written.
	ErrLeaseLost = errors.New("lease lost")
	// ErrIdempotencyConflict says that an idempotency key was used before
	// with another request.
	ErrIdempotencyConflict = errors.New("idempotency key was used with a different request")
	// ErrRevision says that what was to be written over is not what the caller
	// has seen last.
	ErrRevision = errors.New("it has been changed meanwhile")
	// ErrStalled says that the disk does not answer. What was to be written may
	// still be, once it does: every write may be repeated.
	ErrStalled = errors.New("the store's disk does not answer")
	// ErrBusy says that as many writes wait for the disk as may.
	ErrBusy = errors.New("too many writes wait for the store's disk")
	// ErrClosed says that the store has been closed.
	ErrClosed = errors.New("store is closed")
)

// FieldError is a fault in one field of somebody's input. Its text may be
// shown to whoever sent it and may be logged, so it never holds a value that
// could be an endpoint, a key or an identity.
type FieldError struct {
	// Field is the path of the field as the sender spelled it, such as
	// "keys.p256dh" or "actions[1].url".
	Field string
	// Problem says what is wrong and what would be right.
	Problem string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }
