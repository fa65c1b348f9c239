package h2push

import "time"

const (
	// maxChatter is how many useless frames are tolerated within chatterTime, besides those that come with
	// answers.
	maxChatter  = 4096
	chatterTime = time.Second
	// framesPerAnswer is how many such frames an answer outweighs, or a DATA frame sent because of one.
	framesPerAnswer = 8
)

// uselessFrames counts frames that advance no request, such as PING, SETTINGS or WINDOW_UPDATE. Every exchange has
// a few; a flood of them is an attack (CVE-2019-9512 and relatives).
type uselessFrames struct {
	count int
	since time.Time
}

// tooMuch counts a frame. It reads the clock once in maxChatter frames.
func (h *uselessFrames) tooMuch(now func() time.Time) bool {
	if h.count++; h.count < maxChatter {
		return false
	}
	h.count = 0
	before := h.since
	h.since = now()
	return h.since.Sub(before) < chatterTime
}

func (h *uselessFrames) forgive() { h.count = max(0, h.count-framesPerAnswer) }

// health is what is known about whether the peer is alive.
type health struct {
	frames uint64 // received so far
	pinged bool   // a PING is unanswered, and nothing was received since
	last   time.Time
	ping   *time.Timer

	idle   *time.Timer
	idleAt uint32 // nextID when idle last fired
}

func (h *health) stop() {
	if h.ping != nil {
		h.ping.Stop()
	}
	if h.idle != nil {
		h.idle.Stop()
	}
}

// heard records a frame; any shows that the peer is alive. c.mu is held.
func (c *Conn) heard() {
	c.health.frames++
	if c.health.pinged {
		c.health.pinged = false
		c.health.ping.Stop()
		c.config.OnChange()
	}
}

// suspect is called when a request timed out and nothing was received meanwhile. The connection accepts no
// requests until it receives something. c.mu is held.
func (c *Conn) suspect() {
	h := &c.health
	if h.pinged || c.err != nil {
		return
	}
	now := time.Now()
	if !h.last.IsZero() && now.Sub(h.last) < c.config.PingInterval {
		c.retire(ErrSilent)
		return
	}
	h.last, h.pinged = now, true
	_ = c.framer.WritePing(false, [8]byte{})
	c.wakeWriter()
	frames := h.frames
	h.ping = time.AfterFunc(c.config.PingTimeout, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.health.pinged && c.health.frames == frames {
			c.failLocked(ErrSilent)
		}
	})
}

// checkIdle closes a connection that was not used since the last check.
func (c *Conn) checkIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	if c.health.idleAt == c.nextID && len(c.streams)+c.reserved == 0 {
		c.retire(ErrClosed)
		return
	}
	c.health.idleAt = c.nextID
	c.health.idle.Reset(c.config.IdleTimeout)
}
