package httpapi

import (
	"hash/maphash"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// The table of clients: limitSlots at 32 bytes each, in sets of limitWays. A client that finds its
// set full replaces the one that has spent the least.
const (
	limitSlots = 1 << 15
	limitWays  = 8
)

// wideShare is how many times as much as one client an IPv6 network of 48 bits may post. Such a
// network often has many customers: it contains 65,536 networks of 64 bits.
const wideShare = 16

// ClientLimit bounds how many subscriptions, or batches of events, one client may post: this many
// at once, and this many in a minute. Nothing proves that a post is a browser's, and each costs a
// row. Its memory is fixed, however many clients there are. A client is what ClientOf returns. It
// is safe for concurrent use.
type ClientLimit struct {
	perMinute float64
	seed      maphash.Seed

	mu    sync.Mutex
	slots []limitSlot
}

// limitSlot is one client's bucket.
type limitSlot struct {
	client uint64  // hash; 0 for a free slot
	last   int64   // ns since 1970
	tokens float64 // below 0 while something large is still to be paid for
	most   float64 // tokens at once, and in a minute
}

// NewClientLimit makes a limit of perMinute posts in a minute, at least 1.
func NewClientLimit(perMinute int) *ClientLimit {
	return &ClientLimit{
		perMinute: float64(max(perMinute, 1)), seed: maphash.MakeSeed(),
		slots: make([]limitSlot, limitSlots),
	}
}

// ClientOf returns the unit of the limit: an IPv4 address, or an IPv6 network of 64 bits, the
// smallest that one customer has. All clients without an address, as on a Unix socket, are one.
func ClientOf(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() {
		return addr
	}
	network, _ := addr.Prefix(64)
	return network.Addr()
}

// Take takes one post of the client that counts as cost posts, or returns how long to wait for the
// next. A post that counts as several is taken if one is left, and paid for by waiting afterwards.
func (l *ClientLimit) Take(client netip.Addr, now time.Time, cost int) (wait time.Duration, ok bool) {
	client = ClientOf(client)
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.slot(client, 64, l.perMinute, now)
	if wait := own.wait(); wait > 0 || !client.Is6() {
		return own.take(cost)
	}
	wide, _ := client.Prefix(48)
	around := l.slot(wide.Addr(), 48, l.perMinute*wideShare, now)
	if wait, ok := around.take(cost); !ok {
		return wait, false
	}
	// The second call may have replaced the first one's slot.
	return l.slot(client, 64, l.perMinute, now).take(cost)
}

// Charge takes the cost of a post beyond the amount that Take took for it. The rest may be
// negative.
func (l *ClientLimit) Charge(client netip.Addr, now time.Time, cost int) {
	client = ClientOf(client)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slot(client, 64, l.perMinute, now).tokens -= float64(cost)
	if client.Is6() {
		wide, _ := client.Prefix(48)
		l.slot(wide.Addr(), 48, l.perMinute*wideShare, now).tokens -= float64(cost)
	}
}

// slot finds the bucket, or makes one, and refills it for the time that has passed.
func (l *ClientLimit) slot(client netip.Addr, bits int, most float64, now time.Time) *limitSlot {
	hash := maphash.Comparable(l.seed, netip.PrefixFrom(client, bits)) | 1
	at := int(hash>>1) % (limitSlots / limitWays) * limitWays
	set := l.slots[at : at+limitWays]
	var spare *limitSlot
	for i := range set {
		s := &set[i]
		s.fill(now)
		switch {
		case s.client == hash:
			return s
		case spare == nil, s.spent() < spare.spent():
			spare = s
		}
	}
	*spare = limitSlot{client: hash, last: now.UnixNano(), tokens: most, most: most}
	return spare
}

// fill refills the bucket for the time that has passed. A clock that is set back changes nothing.
func (s *limitSlot) fill(now time.Time) {
	if passed := now.UnixNano() - s.last; passed > 0 {
		s.tokens = min(s.most, s.tokens+float64(passed)*s.perNano())
	}
	s.last = now.UnixNano()
}

func (s *limitSlot) perNano() float64 { return s.most / float64(time.Minute) }

// spent returns how long the bucket takes to be full again, in minutes; negative for a free one.
func (s *limitSlot) spent() float64 {
	if s.client == 0 {
		return -1
	}
	return 1 - s.tokens/s.most
}

// wait returns how long it takes until one post is left.
func (s *limitSlot) wait() time.Duration {
	if s.tokens >= 1 {
		return 0
	}
	return time.Duration((1 - s.tokens) / s.perNano())
}

func (s *limitSlot) take(cost int) (time.Duration, bool) {
	if s.tokens < 1 {
		return s.wait(), false
	}
	s.tokens -= float64(cost)
	return 0, true
}

// costSize is how many bytes of a body count as one post.
const costSize = 4 << 10

// costOf returns the number of posts that a body counts as: the cost of keeping it depends on its
// bytes.
func costOf(size int) int { return max(1, (size+costSize-1)/costSize) }

// Operations on attributes and identities of logins cost far more than their bytes: this many of
// them count as one post, before their real cost is known.
const costOps, costIdentities = 20, 10

// recordCost returns the number of posts that a decoded batch counts as.
func recordCost(req *service.RecordRequest, size int) int {
	ops, identities := 0, 0
	for _, e := range req.Events {
		ops, identities = ops+len(e.Ops), identities+len(e.Identities)
	}
	return costOf(size) + ops/costOps + identities/costIdentities
}

// workSize is how much of people.Tracked.Work counts as one post more. An ordinary visitor's batch
// costs less.
const workSize = 16 << 10

// charge subtracts the batch's cost for the store from the client's limit.
func (p *Public) charge(r *http.Request, work int) {
	if p.EventLimit != nil && work >= workSize {
		p.EventLimit.Charge(p.client(r), p.Service.Clock(), work/workSize)
	}
}

// limited refuses a client that posts too fast.
func (p *Public) limited(w http.ResponseWriter, r *http.Request, limit *ClientLimit, cost int, what string) error {
	wait, ok := p.take(limit, p.client(r), cost)
	if ok {
		return nil
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	return api.NewProblem(http.StatusTooManyRequests, "too many "+what+" from this address: try again later")
}

// AllowPage charges the events that a page of the site reports to the client's limit of events. It
// returns the client, and whether enough was left.
func (p *Public) AllowPage(r *http.Request, site string) (client netip.Addr, ok bool) {
	client = p.client(r)
	if _, ok = p.take(p.EventLimit, client, 1); ok {
		if there, err := p.Service.HasSite(r.Context(), site); err != nil {
			ok = false
		} else if !there {
			_, ok = p.take(p.SiteLimit, client, 1)
		}
	}
	return ClientOf(client), ok
}

// mayBegin refuses a client that begins sites too fast.
func (p *Public) mayBegin(w http.ResponseWriter, r *http.Request, site PublicSite) error {
	there, err := p.Service.HasSite(r.Context(), site.Name)
	if there || err != nil {
		return err
	}
	return p.limited(w, r, p.SiteLimit, 1, "new sites")
}

func (p *Public) take(limit *ClientLimit, client netip.Addr, cost int) (wait time.Duration, ok bool) {
	if limit == nil {
		return 0, true
	}
	wait, ok = limit.Take(client, p.Service.Clock(), cost)
	if !ok && p.Limited != nil {
		p.Limited()
	}
	return wait, ok
}

// client returns who sends a request.
func (p *Public) client(r *http.Request) netip.Addr {
	if p.Client != nil {
		return p.Client(r)
	}
	return remoteAddress(r)
}

// remoteAddress returns the address at the other end of the connection.
func remoteAddress(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, _ := netip.ParseAddr(host)
	return addr
}
