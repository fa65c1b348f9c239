package delivery_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
)

var errDisk = errors.New("input/output error")

// checkedStore is a real store that checks, with each row it returns, that every recipient is in
// exactly one state and that none is counted twice; faults may be put before and after its calls.
type checkedStore struct {
	store.Store
	tb testing.TB
	// before and after, if they are set, are called with each checkpoint; their error replaces the
	// store's answer. note is called before each Note, claim before each Claim.
	before, after func(pushsvc.Checkpoint) error
	note          func([]pushsvc.Outcome) error
	claim         func() error

	mu       sync.Mutex
	audience map[string]int64
}

func (s *checkedStore) check(m pushsvc.Message) {
	p := m.Progress
	if sum := p.Pending + p.Later + p.Settled(); sum != p.Audience {
		s.tb.Errorf("the sum is %d of %d: %+v", sum, p.Audience, p)
	}
	if min(p.Pending, p.Later, p.Accepted, p.Gone, p.Left, p.Expired, p.Cancelled) < 0 {
		s.tb.Errorf("negative count: %+v", p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.audience == nil {
		s.audience = make(map[string]int64)
	}
	// The audience of a message with topics falls with each recipient who has chosen none of them.
	if a, known := s.audience[m.ID]; known && a != p.Audience && len(m.Topics) == 0 {
		s.tb.Errorf("the audience grows from %d to %d: a subscriber was counted twice", a, p.Audience)
	}
	s.audience[m.ID] = p.Audience
}

func (s *checkedStore) Message(ctx context.Context, site, id string) (pushsvc.Message, error) {
	m, err := s.Store.Message(ctx, site, id)
	if err == nil {
		s.check(m)
	}
	return m, err
}

func (s *checkedStore) Control(ctx context.Context, site, id string, c pushsvc.Command, now time.Time) (pushsvc.Message, error) {
	m, err := s.Store.Control(ctx, site, id, c, now)
	if err == nil {
		s.check(m)
	}
	return m, err
}

func (s *checkedStore) Claim(ctx context.Context, site, id, owner string, lease time.Duration) (pushsvc.Message, pushsvc.Range, error) {
	if s.claim != nil {
		if err := s.claim(); err != nil {
			return pushsvc.Message{}, pushsvc.Range{}, err
		}
	}
	m, r, err := s.Store.Claim(ctx, site, id, owner, lease)
	if err == nil {
		s.check(m)
	}
	return m, r, err
}

func (s *checkedStore) Note(ctx context.Context, r pushsvc.Range, o []pushsvc.Outcome) error {
	if s.note != nil {
		if err := s.note(o); err != nil {
			return err
		}
	}
	return s.Store.Note(ctx, r, o)
}

func (s *checkedStore) Checkpoint(ctx context.Context, c pushsvc.Checkpoint) (pushsvc.Message, pushsvc.Range, error) {
	if s.before != nil {
		if err := s.before(c); err != nil {
			return pushsvc.Message{}, pushsvc.Range{}, err
		}
	}
	m, r, err := s.Store.Checkpoint(ctx, c)
	if err == nil {
		s.check(m)
		if s.after != nil {
			err = s.after(c)
		}
	}
	if err != nil {
		return pushsvc.Message{}, pushsvc.Range{}, err
	}
	return m, r, nil
}
