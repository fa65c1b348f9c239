package webpush

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxConns is the maximum number of connections to a host. At 100 streams each, 8 carry 8,000 messages a
	// second at 100 ms.
	maxConns = 8
	// maxConns1 is the maximum for a host with HTTP/1.1, which carries one message at a time.
	maxConns1 = 32
	// recheck is how often a waiting sender checks without being woken. Every change wakes one sender, so
	// this only bounds the harm of a missed change.
	recheck = 250 * time.Millisecond
)

// pool keeps connections per host. It opens one at a time, and another only when all are full.
// http.Transport's own pool dials once per waiting request (552 connections for 400 cold senders instead of
// 4), and its MaxConnsPerHost is known to hang over HTTP/2 (golang/go #34941).
type pool struct {
	connector *connector

	closed atomic.Bool // connections are closed once idle

	mu    sync.Mutex
	hosts map[string]*host
}

// host is guarded by the pool's mu, except wake and http1.
type host struct {
	links   []link
	dialing bool
	waiting int
	limit   int // connections
	// http1 is set if the host asked for HTTP/1.1 over HTTP/2.
	http1 atomic.Bool
	// failures counts failed dials; failure is the last one's error.
	failures int
	failure  error
	// wake holds a token when waiting may have become useless. A sender that takes it and benefits puts one
	// back for the next.
	wake chan struct{}
}

func (h *host) signal() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func newPool(connector *connector) *pool {
	return &pool{connector: connector, hosts: make(map[string]*host)}
}

// acquire waits until the deadline for a free stream to a host; the caller must send on it and then call
// release. It fails when ctx ends, or when a dial that began or ended during the wait fails.
func (p *pool) acquire(ctx context.Context, name string, deadline time.Time) (link, *host, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[name]
	if h == nil {
		h = &host{limit: maxConns, wake: make(chan struct{}, 1)}
		p.hosts[name] = h
	}
	if l := h.reserve(); l != nil {
		return l, h, nil
	}
	l, err := p.await(ctx, name, h, deadline)
	return l, h, err
}

// await is acquire without a free stream. p.mu is held, but not during the wait.
func (p *pool) await(ctx context.Context, name string, h *host, deadline time.Time) (link, error) {
	h.waiting++
	defer func() {
		h.waiting--
		p.prune(h)
		p.forget(name, h)
	}()
	failures := h.failures
	for {
		p.prune(h)
		if l := h.reserve(); l != nil {
			h.signal()
			return l, nil
		}
		if h.failures != failures {
			h.signal()
			return nil, h.failure
		}
		if !h.dialing && len(h.links) < h.limit {
			h.dialing = true
			go p.dial(name, h)
		}
		p.mu.Unlock()
		err := h.wait(ctx, deadline)
		p.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
}

func (h *host) wait(ctx context.Context, deadline time.Time) error {
	left := time.Until(deadline)
	if left <= 0 {
		return fmt.Errorf("waiting for a connection: %w", context.DeadlineExceeded)
	}
	timer := time.NewTimer(min(recheck, left))
	defer timer.Stop()
	select {
	case <-h.wake:
	case <-timer.C:
	case <-ctx.Done():
		return fmt.Errorf("waiting for a connection: %w", ctx.Err())
	}
	return nil
}

// reserve reserves a stream on the first connection that has one, so that messages share connections and
// writes.
func (h *host) reserve() link {
	for _, l := range h.links {
		if l.reserve() {
			return l
		}
	}
	return nil
}

// prune drops connections that have ended and, in a closed pool, shuts down the others.
func (p *pool) prune(h *host) {
	closing := p.closed.Load() && h.waiting == 0 // a waiting sender may need an idle one
	h.links = slices.DeleteFunc(h.links, func(l link) bool {
		if closing && !l.ended() {
			go guarded(l.shutdown) // may wait for the peer
		}
		return l.ended()
	})
}

// guarded runs a function whose panic must not end the program, and that leaves nothing for others to wait
// for.
func guarded(run func()) {
	defer func() { _ = recover() }()
	run()
}

// dial opens a connection for the waiting senders. It has its own timeout, since the send that asked for it
// may end earlier.
func (p *pool) dial(name string, h *host) {
	var l link
	err := errors.New("panic")
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("panic of type %T", value)
		}
		p.endDial(name, h, l, err)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout+handshakeTimeout)
	defer cancel()
	// The hook runs with locks held, sometimes under mu, so it must not take mu.
	l, err = p.connector.open(ctx, name, h.http1.Load(), func() {
		h.signal()
		go guarded(func() { p.sweep(name, h) })
	})
}

// endDial stores the result of a dial and wakes a waiting sender.
func (p *pool) endDial(name string, h *host, l link, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h.dialing = false
	if err != nil {
		h.failures++
		h.failure = fmt.Errorf("connecting: %w", err)
	} else {
		h.links = append(h.links, l)
		if _, ok := l.(*link1); ok {
			h.limit = maxConns1
		}
	}
	p.prune(h)
	p.forget(name, h)
	h.signal()
}

// sweep drops connections that have ended, and the host if it has none left.
func (p *pool) sweep(name string, h *host) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prune(h)
	p.forget(name, h)
}

// forget drops an unused host: visitors choose the names below a wildcard of the allow-list, so they must not
// accumulate.
func (p *pool) forget(name string, h *host) {
	if h.waiting == 0 && !h.dialing && len(h.links) == 0 && p.hosts[name] == h {
		delete(p.hosts, name)
	}
}

// release is called after a send on a link of the host.
func (p *pool) release(name string, h *host) {
	h.signal()
	if p.closed.Load() {
		p.sweep(name, h)
	}
}

// close closes idle connections now, and the others when they become idle.
func (p *pool) close() {
	p.closed.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, h := range p.hosts {
		p.prune(h)
		p.forget(name, h)
	}
}
