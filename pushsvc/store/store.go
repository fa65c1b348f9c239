// Package store defines the store as a whole: the sum of the interfaces of each subject. Its
// subfolders have the implementations, and the tests that each passes.
package store

import (
	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// Store keeps everything. Each method is one transaction: it has completely and durably happened
// when the method returns nil. An error other than the sentinels means that the result is unknown,
// so callers may repeat the call: every write is idempotent. Methods may be called by many
// goroutines.
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
