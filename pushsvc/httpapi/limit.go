package httpapi

import (
	"hash/maphash"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// limitSlots is how many clients a ClientLimit knows at a time, at 24 bytes
// each. A client that comes to another's slot takes it over.
const limitSlots = 1 << 15

// ClientLimit bounds how many subscriptions, or batches of events, one client
// may post, since nothing proves that one is a browser's and each costs a row:
// so many at once, and in a minute. Its memory is fixed, however many
// clients there are. A client is an IPv4 address, or an IPv6 network of 64
// bits, which is what one customer has. It is safe for concurrent use.
type ClientLimit struct {
	perMinute float64
	seed      maphash.Seed

	mu    sync.Mutex
	slots []limitSlot
}

// limitSlot is one client's bucket.
type limitSlot struct {
	client uint64  // hash; 0 where nobody has it
	last   int64   // ns since 1970
	tokens float64 // below 0 where something large is still to be paid for
}

// NewClientLimit makes a limit of so many posts in a minute, at least 1.
func NewClientLimit(perMinute int) *ClientLimit {
	return &ClientLimit{
		perMinute: float64(max(perMinute, 1)), seed: maphash.MakeSeed(),
		slots: make([]limitSlot, limitSlots),
	}
}

// Take takes one post of the client's that counts as so many, or says how long to
// wait for the next. One that counts as several is taken where one is left, and paid
// for by waiting afterwards. A client without an address is not limited.
func (l *ClientLimit) Take(client netip.Addr, now time.Time, cost int) (wait time.Duration, ok bool) {
	client = client.Unmap().WithZone("")
	if !client.IsValid() {
		return 0, true
	}
	if client.Is6() {
		network, _ := client.Prefix(64)
		client = network.Addr()
	}
	hash := maphash.Comparable(l.seed, client) | 1
	l.mu.Lock()
	defer l.mu.Unlock()
	slot := &l.slots[(hash>>1)%limitSlots]
	if slot.client != hash {
		*slot = limitSlot{client: hash, last: now.UnixNano(), tokens: l.perMinute}
	}
	perNano := l.perMinute / float64(time.Minute)
	// A clock that is set back gives nothing, and takes nothing.
	if passed := now.UnixNano() - slot.last; passed > 0 {
		slot.tokens = min(l.perMinute, slot.tokens+float64(passed)*perNano)
	}
	slot.last = now.UnixNano()
	if slot.tokens < 1 {
		return time.Duration((1 - slot.tokens) / perNano), false
	}
	slot.tokens -= float64(cost)
	return 0, true
}

// costSize is how many bytes of a body count as one post.
const costSize = 4 << 10

// costOf is as how many posts a body counts: what it costs to keep is by its bytes.
func costOf(size int) int { return max(1, (size+costSize-1)/costSize) }

// limited refuses a client that posts too fast.
func (p *Public) limited(w http.ResponseWriter, r *http.Request, limit *ClientLimit, cost int, what string) error {
	if limit == nil {
		return nil
	}
	client := remoteAddress
	if p.Client != nil {
		client = p.Client
	}
	wait, ok := limit.Take(client(r), p.Service.Clock(), cost)
	if ok {
		return nil
	}
	if p.Limited != nil {
		p.Limited()
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	return problem(http.StatusTooManyRequests, "too many "+what+" come from this address: try again later")
}

// remoteAddress is who is at the other end of the connection.
func remoteAddress(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, _ := netip.ParseAddr(host)
	return addr
}
