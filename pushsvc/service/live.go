package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

const (
	// liveRetry is the pause before the store is read again after a failure.
	liveRetry = time.Second
	// liveTimeout is the time limit of one read.
	liveTimeout = 10 * time.Second
)

// LiveStore is the part of the store that a Live reads.
type LiveStore interface {
	pushsvc.SettingStore
	popup.Store
	pushsvc.KeyStore
	pushsvc.SiteStore
	pushsvc.ChangeStore
}

// Live keeps operators' settings of a store in memory: prompts, pop-ups, the key
// ring, and the other names of sites. Pages, posts and pushes need them all the
// time and must not wait for the store.
//
// There is one per store, for all its services and configurations. A change by a
// Service takes effect at once; a change by another process takes effect within
// 2 s, by [pushsvc.ChangeStore]. If the store can't be read, the last values
// stay.
type Live struct {
	store LiveStore
	clock func() time.Time
	fault func(error)

	following sync.Once
	now       atomic.Pointer[snapshot]
	secret    atomic.Pointer[[]byte]
	removed   atomic.Int64 // raised when sites are removed

	reading sync.Mutex // held while the store is read and now is replaced
	failed  time.Time  // the last failure; reading guards it
}

// snapshot is immutable.
type snapshot struct {
	read    pushsvc.ChangeKinds // the kinds that were read at least once
	prompts map[string]PromptOverride
	popups  map[string]*popupSite
	keys    []pushsvc.Key
	names   *siteNames
}

// NewLive makes an empty Live: it reads at the first request, see also Read, and
// then follows the store until that is closed. It calls fault with rows that it
// could not read or does not understand, from any goroutine.
func NewLive(store LiveStore, clock func() time.Time, fault func(error)) *Live {
	l := &Live{store: store, clock: clock, fault: fault}
	l.now.Store(new(snapshot))
	return l
}

// live returns the service's Live, or makes one if the service has none.
func (s *Service) live() *Live {
	s.ownLive.Do(func() {
		if s.Live == nil {
			s.Live = NewLive(s.Store, s.Clock, func(err error) { s.log().Error("reading what operators have set", "error", err) })
		}
	})
	return s.Live
}

// Read reads everything from the store.
func (l *Live) Read(ctx context.Context) error {
	l.follow()
	return l.refresh(ctx, pushsvc.ChangedAll)
}

// follow starts to follow the store.
func (l *Live) follow() {
	l.following.Do(func() {
		go func() {
			for since, late, open := int64(0), pushsvc.ChangeKinds(0), true; open; {
				since, late, open = l.step(since, late)
			}
		}()
	})
}

// step waits for a change after the revision since, and reads it. late has the
// kinds that could not be read before. It returns false if the store is closed.
func (l *Live) step(since int64, late pushsvc.ChangeKinds) (next int64, failed pushsvc.ChangeKinds, open bool) {
	next, failed, open = since, pushsvc.ChangedAll, true
	defer func() {
		if r := recover(); r != nil {
			l.fault(fmt.Errorf("following the store failed unexpectedly: %v", r))
			time.Sleep(liveRetry)
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	if late != 0 {
		ctx, cancel = context.WithTimeout(context.Background(), liveRetry)
	}
	kinds, seen, err := l.store.Changes(ctx, since)
	cancel()
	switch {
	case errors.Is(err, pushsvc.ErrClosed):
		return since, 0, false
	case late != 0 && errors.Is(err, context.DeadlineExceeded):
		seen = since
	case err != nil:
		l.fault(fmt.Errorf("following the store: %w", err))
		time.Sleep(liveRetry)
		return since, pushsvc.ChangedAll, true
	}
	ctx, cancel = context.WithTimeout(context.Background(), liveTimeout)
	defer cancel()
	err = l.refresh(ctx, kinds|late)
	if errors.Is(err, pushsvc.ErrClosed) {
		return seen, 0, false
	}
	if err != nil {
		l.fault(err)
		return seen, kinds | late, true
	}
	return seen, 0, true
}

// refresh reads the kinds again. Kinds that can't be read keep their values.
func (l *Live) refresh(ctx context.Context, kinds pushsvc.ChangeKinds) error {
	l.reading.Lock()
	defer l.reading.Unlock()
	return l.readLocked(ctx, kinds)
}

// readLocked is refresh; the caller holds reading.
func (l *Live) readLocked(ctx context.Context, kinds pushsvc.ChangeKinds) error {
	next := *l.now.Load()
	var errs []error
	read := func(when, kind pushsvc.ChangeKinds, part func(context.Context, *snapshot) error) {
		if kinds&when == 0 {
			return
		}
		if err := part(ctx, &next); err != nil {
			errs = append(errs, err)
			return
		}
		next.read |= kind
	}
	const sites = pushsvc.ChangedSites
	read(pushsvc.ChangedSettings|sites, pushsvc.ChangedSettings, l.readPrompts)
	read(pushsvc.ChangedPopups|pushsvc.ChangedSettings|sites, pushsvc.ChangedPopups, l.readAllPopups) // settings of pop-ups
	read(sites, sites, l.readNames)
	read(pushsvc.ChangedKeys, pushsvc.ChangedKeys, l.readKeys)
	if kinds&sites != 0 {
		l.removed.Add(1)
	}
	if l.now.Store(&next); len(errs) > 0 {
		l.failed = l.clock()
	}
	return errors.Join(errs...)
}

// changed reads what this process has just written, even if the request is
// cancelled. read changes a copy of the snapshot.
func (l *Live) changed(ctx context.Context, read func(context.Context, *snapshot) error) error {
	l.follow()
	l.reading.Lock()
	defer l.reading.Unlock()
	next := *l.now.Load()
	if err := read(context.WithoutCancel(ctx), &next); err != nil {
		return err
	}
	l.now.Store(&next)
	return nil
}

// errUnread means that a kind of rows could not be read yet.
var errUnread = errors.New("the store could not be read a moment ago")

// have returns a snapshot in which the kind has been read. The first caller reads
// for all, and its read continues if its own request ends.
func (l *Live) have(ctx context.Context, kind pushsvc.ChangeKinds) (*snapshot, error) {
	l.follow()
	if now := l.now.Load(); now.read&kind != 0 {
		return now, nil
	}
	l.reading.Lock()
	defer l.reading.Unlock()
	if now := l.now.Load(); now.read&kind != 0 {
		return now, nil
	}
	if at := l.clock(); !l.failed.IsZero() && at.Sub(l.failed) < liveRetry {
		return nil, errUnread
	}
	if err := l.readLocked(context.WithoutCancel(ctx), kind); err != nil {
		return nil, err
	}
	return l.now.Load(), nil
}

func (l *Live) readKeys(ctx context.Context, next *snapshot) error {
	keys, err := l.store.Keys(ctx)
	if err != nil {
		return fmt.Errorf("reading the key ring: %w", err)
	}
	next.keys = keys
	return nil
}

// Keys returns the key ring, the current key first. It is empty if it could not
// be read yet. It never waits for the store.
func (l *Live) Keys() []pushsvc.Key {
	l.follow()
	return l.now.Load().keys
}

// key finds a key of the ring. It looks an unknown one up in the store: a key
// that another process has made current is in its pages at once.
func (l *Live) key(ctx context.Context, is func(pushsvc.Key) bool) (pushsvc.Key, error) {
	now, err := l.have(ctx, pushsvc.ChangedKeys)
	if err != nil {
		return pushsvc.Key{}, err
	}
	i := slices.IndexFunc(now.keys, is)
	if i < 0 {
		if err := l.changed(ctx, l.readKeys); err != nil {
			return pushsvc.Key{}, err
		}
		now = l.now.Load()
		i = slices.IndexFunc(now.keys, is)
	}
	if i < 0 {
		return pushsvc.Key{}, pushsvc.ErrNotFound
	}
	return now.keys[i], nil
}

// removals rises when sites are removed, and may rise without a removal.
func (l *Live) removals() int64 {
	l.follow()
	return l.removed.Load()
}

// Secret returns the secret that signs cookies and receipts. It never changes,
// and is read once.
func (l *Live) Secret(ctx context.Context) ([]byte, error) {
	if secret := l.secret.Load(); secret != nil {
		return *secret, nil
	}
	secret, err := l.store.Secret(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the secret: %w", err)
	}
	l.secret.Store(&secret)
	return secret, nil
}
