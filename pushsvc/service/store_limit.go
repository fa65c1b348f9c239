package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// ErrNoRoom means that the store has reached its limit.
var ErrNoRoom = errors.New("the store has as much as it may take: the server's log says what to do")

// priority is how early a write is refused: the lower, the sooner.
type priority int

const (
	// strangers have no data in the store yet, and need room for a profile.
	strangers priority = iota
	// returning are visitors with a profile.
	returning
	// subscribing are strangers who subscribe.
	subscribing
	// subscribed are visitors with a subscription, or with a profile who
	// subscribe.
	subscribed
)

// roomFor is how many 64ths of MaxStoreSize may be used before a priority is
// refused. Operators' data and removals are never refused.
var roomFor = [...]int64{strangers: 56, returning: 60, subscribing: 62, subscribed: 64}

// roomKept is how long the used size is cached.
const roomKept = time.Second

// storeRoom caches the used size of the store.
type storeRoom struct {
	mu     sync.Mutex
	used   int64
	at     time.Time
	warned time.Time
}

// room returns ErrNoRoom if the used size exceeds the priority's share of the store.
func (s *Service) room(ctx context.Context, p priority) error {
	if s.MaxStoreSize <= 0 {
		return nil
	}
	r := &s.used
	r.mu.Lock()
	defer r.mu.Unlock()
	now := s.Clock()
	if age := now.Sub(r.at); age >= roomKept || age < 0 {
		used, err := s.Store.Used(context.WithoutCancel(ctx))
		if err != nil {
			return fmt.Errorf("looking how much room there is: %w", err)
		}
		r.used, r.at = used, now
	}
	if r.used < s.MaxStoreSize/64*roomFor[p] {
		return nil
	}
	if now.Sub(r.warned) >= time.Hour {
		r.warned = now
		s.log().WarnContext(ctx, "the store has nearly reached max_store_size: visitors whom it does not know are refused, subscribers last; "+
			"raise it, or make room with 'caddy webpush profiles purge' or 'caddy webpush sites remove'", "used", r.used, "max_store_size", s.MaxStoreSize)
	}
	return ErrNoRoom
}

// roomOf is room for a device's data.
func (s *Service) roomOf(ctx context.Context, site string, device pushsvc.DeviceID) error {
	return s.roomBy(ctx, site, device, strangers, returning)
}

// roomBy is room with the priority of a stranger, or the one for a known device.
func (s *Service) roomBy(ctx context.Context, site string, device pushsvc.DeviceID, stranger, known priority) error {
	err := s.room(ctx, stranger)
	if !errors.Is(err, ErrNoRoom) || device.IsZero() {
		return err
	}
	f, readErr := s.Store.Facts(ctx, site, device)
	switch {
	case readErr != nil:
		return fmt.Errorf("reading what is known of the visitor: %w", readErr)
	case f.Subscribed:
		return s.room(ctx, subscribed)
	case f.Profile != nil:
		return s.room(ctx, known)
	}
	return err
}
