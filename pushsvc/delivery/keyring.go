package delivery

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// keyRing has the VAPID key pairs in memory for one message.
type keyRing struct {
	store   pushsvc.KeyStore
	pairs   atomic.Pointer[map[string]*webpush.KeyPair] // by key id
	reading sync.Mutex
	absent  map[string]bool // ids that the store has no key for; reading guards it
}

func (r *keyRing) read(ctx context.Context) error {
	ring, err := r.store.Keys(ctx)
	if err != nil {
		return fmt.Errorf("reading the key ring: %w", err)
	}
	pairs := make(map[string]*webpush.KeyPair, len(ring))
	for _, k := range ring {
		if pairs[k.ID], err = webpush.ParseKeyPair(k.Public, k.Private.Reveal()); err != nil {
			return fmt.Errorf("key %s of the ring: %w", k.ID, err)
		}
	}
	r.pairs.Store(&pairs)
	return nil
}

// pair returns a key pair; nil if the ring lacks it. The ring may have gained a key since it was
// read, and a recipient may have subscribed again with that key: so the ring is read once more for
// each id that it lacks. A subscription is stored after its key, so an id that is absent then stays
// absent, until an operator imports it.
func (r *keyRing) pair(ctx context.Context, id string) (*webpush.KeyPair, error) {
	if pair := (*r.pairs.Load())[id]; pair != nil {
		return pair, nil
	}
	r.reading.Lock()
	defer r.reading.Unlock()
	if pair := (*r.pairs.Load())[id]; pair != nil || r.absent[id] {
		return pair, nil
	}
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	pair := (*r.pairs.Load())[id]
	if pair == nil {
		if r.absent == nil {
			r.absent = map[string]bool{}
		}
		r.absent[id] = true
	}
	return pair, nil
}
