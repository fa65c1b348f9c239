package webpush

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxConns is how many connections may be open to a host. At 100 streams
	// each, 8 carry 8,000 messages a second at 100 ms.
	maxConns = 8
	// maxConns1 is the same for a host that speaks HTTP/1.1, which carries one
	// message at a time.
	maxConns1 = 32
	// recheck is how often a waiting sender looks for itself. Every change
	// wakes one, so this only bounds the harm of a change that does not.
	recheck = 250 * time.Millisecond
)

// pool keeps connections per host, opens them one at a time, and another only
// when all are full. http.Transport's own pool dials once per waiting request
// (552 connections for 400 cold senders instead of 4), and its MaxConnsPerHost
// is known to hang over HTTP/2 (golang/go #34941).
type pool struct {
	transport *http.Transport

	closed atomic.Bool // connections are closed once idle

	mu    sync.Mutex
	hosts map[string]*host
}

// host is guarded by the pool's mu, but for wake.
type host struct {
	conns   []*http.ClientConn
	dialing bool
	waiting int
	limit   int // connections
	// failures counts failed dials, failure is the last one's error.
	failures int
	failure  error
	// wake holds a token when something may have changed for the better. Who
	// takes it and has use for it puts one back for the next.
	wake chan struct{}
}

func (h *host) signal() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func newPool(transport *http.Transport) *pool {
	return &pool{transport: transport, hosts: make(map[string]*host)}
}

// lease is the right to one request on a connection.
type lease struct {
	pool *pool
	host *host
	conn *http.ClientConn
}

// acquire waits for a free stream to a host. It fails when ctx ends or a dial
// that began or ended while waiting fails.
func (p *pool) acquire(ctx context.Context, name string) (*lease, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[name]
	if h == nil {
		h = &host{limit: maxConns, wake: make(chan struct{}, 1)}
		p.hosts[name] = h
	}
	h.waiting++
	defer func() {
		h.waiting--
		p.prune(h)
		p.forget(name, h)
	}()
	failures := h.failures
	for {
		if conn := p.reserve(h); conn != nil {
			h.signal()
			return &lease{p, h, conn}, nil
		}
		if h.failures != failures {
			h.signal()
			return nil, h.failure
		}
		if !h.dialing && len(h.conns) < h.limit {
			h.dialing = true
			go p.dial(name, h)
		}
		p.mu.Unlock()
		err := h.wait(ctx)
		p.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
}

func (h *host) wait(ctx context.Context) error {
	timer := time.NewTimer(recheck)
	defer timer.Stop()
	select {
	case <-h.wake:
	case <-timer.C:
	case <-ctx.Done():
		return fmt.Errorf("waiting for a connection: %w", ctx.Err())
	}
	return nil
}

// reserve takes a stream on a connection and drops connections that ended.
func (p *pool) reserve(h *host) *http.ClientConn {
	p.prune(h)
	for _, conn := range h.conns {
		if conn.Reserve() == nil {
			return conn
		}
	}
	return nil
}

// prune drops connections that are closed, those that the service retired
// (GOAWAY) and nobody uses any more and, in a closed pool, the idle ones.
func (p *pool) prune(h *host) {
	closing := p.closed.Load() && h.waiting == 0 // who waits may want an idle one
	h.conns = slices.DeleteFunc(h.conns, func(conn *http.ClientConn) bool {
		if conn.Err() != nil {
			return true
		}
		if conn.InFlight() > 0 || conn.Available() > 0 && !closing {
			return false
		}
		go conn.Close() // may wait for the peer
		return true
	})
}

// dial opens a connection for whoever waits. Its time is its own, as the send
// that asked for it may end before.
func (p *pool) dial(name string, h *host) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout+handshakeTimeout)
	defer cancel()
	conn, err := p.transport.NewClientConn(ctx, "https", net.JoinHostPort(name, "443"))

	p.mu.Lock()
	h.dialing = false
	if err != nil {
		h.failures++
		h.failure = fmt.Errorf("connecting: %w", err)
	} else {
		h.conns = append(h.conns, conn)
	}
	p.prune(h)
	p.forget(name, h)
	h.signal()
	p.mu.Unlock()
	if conn == nil {
		return
	}
	// The hook runs inside calls that are made under mu, so it must not take
	// it.
	conn.SetStateHook(func(conn *http.ClientConn) {
		h.signal()
		if conn.Err() != nil || p.closed.Load() && conn.InFlight() == 0 {
			go p.sweep(name, h)
		}
	})
}

// sweep lets go of connections that ended and of hosts without any.
func (p *pool) sweep(name string, h *host) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prune(h)
	p.forget(name, h)
}

// forget drops a host that nobody uses: the names below a wildcard of the
// allow-list are visitors' choices and must not pile up.
func (p *pool) forget(name string, h *host) {
	if h.waiting == 0 && !h.dialing && len(h.conns) == 0 && p.hosts[name] == h {
		delete(p.hosts, name)
	}
}

// roundTrip sends the request that the lease is for. The lease must be
// released once the answer's body is closed.
func (l *lease) roundTrip(request *http.Request) (*http.Response, error) {
	answer, err := l.conn.RoundTrip(request)
	if err == nil && answer.ProtoMajor == 1 {
		l.pool.mu.Lock()
		l.host.limit = maxConns1
		l.pool.mu.Unlock()
	}
	return answer, err
}

// release tells those who wait that a stream is free.
func (l *lease) release() { l.host.signal() }

// close closes idle connections now and the others when they become idle.
func (p *pool) close() {
	p.closed.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, h := range p.hosts {
		p.prune(h)
		p.forget(name, h)
	}
}

// isUnprocessed says whether a failed request can be repeated at once without
// the push service seeing it twice: its body never left, or HTTP/2 says so
// (RFC 9113 §6.8, §8.7). net/http has no types for the latter.
func isUnprocessed(err error, body *requestBody) bool {
	if !body.touched.Load() {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "graceful shutdown GOAWAY") || strings.Contains(text, "REFUSED_STREAM") ||
		strings.Contains(text, "client conn not usable")
}
