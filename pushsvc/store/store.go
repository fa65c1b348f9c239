// Package store names what keeps everything: the sum of the parts that each subject
// asks for. Folders below it hold its implementations, and the tests that each passes.
package store

import (
	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// Store keeps everything. Each method is one transaction: it has happened
// wholly and durably when the method returns nil. An error other than the
// sentinels says that the outcome is unknown, so that callers may repeat the
// call: every write is idempotent. Methods may be called by many goroutines.
type Store interface {
	pushsvc.SubscriptionStore
	pushsvc.MessageStore
	pushsvc.KeyStore
	people.Store
	pushsvc.SettingStore
	popup.Store
	pushsvc.SiteStore
	pushsvc.ChangeStore

	// Close waits for running transactions and releases the store. Later
	// calls of other methods return pushsvc.ErrClosed.
	Close() error
}
