package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
)

// storeSummary is what is in a store.
type storeSummary struct {
	Sites         int   `json:"sites"`
	Subscriptions int64 `json:"subscriptions"`
	Messages      int64 `json:"messages"`
	Keys          int   `json:"keys"`
}

func (s storeSummary) String() string {
	return fmt.Sprintf("%s of %s, %s, %s", plural(s.Subscriptions, "subscriber"), plural(int64(s.Sites), "site"),
		plural(s.Messages, "message"), plural(int64(s.Keys), "key"))
}

// inspectBolt opens a file that nobody uses as a store, which checks it, reads
// it through, and says what is in it.
func inspectBolt(ctx context.Context, path string) (sum storeSummary, err error) {
	var damage error
	store, err := boltstore.Open(ctx, path, boltstore.Options{Timeout: time.Second, OnDamage: func(err error) { damage = err }})
	if err != nil {
		return sum, err
	}
	defer func() {
		err = errors.Join(err, store.Close())
		_ = os.Remove(notesOf(path)) // empty: nothing was sent
	}()
	sites, err := store.Sites(ctx)
	if err != nil {
		return sum, err
	}
	for _, site := range sites {
		sum.Sites++
		sum.Subscriptions += site.Subscriptions
		sum.Messages += site.Messages
		if err := readThrough(ctx, store, site.Site); err != nil {
			return sum, err
		}
	}
	keys, err := store.Keys(ctx)
	if err != nil {
		return sum, err
	}
	sum.Keys = len(keys)
	return sum, damage
}

// readThrough reads every subscription of a site, so that damage is found.
func readThrough(ctx context.Context, store pushsvc.Store, site string) error {
	for after := pushsvc.SubscriptionID(0); ; {
		page, err := store.SubscriptionPage(ctx, site, after, 1000)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].ID
	}
}

// lockBolt makes sure that no Caddy uses the file, and keeps others out until
// unlock is called. present says whether there is a file. One that is damaged
// can't be kept locked, and need not be.
func lockBolt(path string) (unlock func(), present bool, err error) {
	unlock = func() {}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return unlock, false, nil
	} else if err != nil {
		return unlock, false, fmt.Errorf("looking for the store: %w", err)
	}
	// bbolt panics at some kinds of damage, which are a reason to be here.
	defer func() { _ = recover() }()
	present = true
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, ReadOnly: true})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return unlock, true, fmt.Errorf("%s is in use: stop Caddy first", path)
	case err != nil:
		return unlock, true, nil
	}
	return func() { _ = db.Close() }, true, nil
}

// notesOf is the folder where a store keeps what its engines have noted of
// messages under way.
func notesOf(path string) string { return path + ".notes" }

// setAside renames a store, and its notes with it: they are of no other.
func setAside(path, kept string) error {
	if err := os.Rename(path, kept); err != nil {
		return fmt.Errorf("keeping the store that is there: %w", err)
	}
	if err := os.Rename(notesOf(path), notesOf(kept)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keeping the notes of the store that is there: %w", err)
	}
	return nil
}
