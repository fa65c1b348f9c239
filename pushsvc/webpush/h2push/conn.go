package h2push

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// defaultStreams is how many requests are under way on a connection at
	// most. More do not make it cheaper and lose more when it breaks.
	defaultStreams = 256
	defaultAnswer  = 4 << 10
	defaultHeader  = 16 << 10

	readBuffer = 16 << 10
	// connWindow is what the peer may send on all streams together before it
	// hears from us (RFC 9113 §6.9).
	connWindow = 1 << 20
	// maxStreamID ends a connection's life (RFC 9113 §5.1.1).
	maxStreamID = 1<<31 - 1
	// partingTime bounds the last words of a connection.
	partingTime = time.Second
)

// Config is what a Conn is made with. Zero fields have the defaults named.
type Config struct {
	// MaxStreams bounds the requests under way; 256. The peer's own bound
	// holds too.
	MaxStreams int
	// MaxAnswer is how many bytes of an answer's body are taken; 4096. The
	// rest is not read, and the answer counts as whole.
	MaxAnswer int
	// MaxHeader is how much of an answer's header is kept, by the reckoning of
	// RFC 9113 §10.5.1; 16 KiB. The rest is skipped; a header that is four
	// times as long ends the connection.
	MaxHeader int
	// BodyTimeout bounds how long after its header an answer's body is waited
	// for; 2 s.
	BodyTimeout time.Duration
	// WriteTimeout bounds a write; 10 s.
	WriteTimeout time.Duration
	// IdleTimeout closes a connection that had no request for that long, at
	// the latest after twice as long; 5 min.
	IdleTimeout time.Duration
	// PingTimeout is how long the peer may take to answer a PING, which is
	// sent when a request timed out in total silence; 5 s.
	PingTimeout time.Duration
	// PingInterval is the least time between two PINGs; 5 min, as push
	// services hang up on those who ping more often (too_many_pings). A
	// connection that falls silent again within it is retired.
	PingInterval time.Duration
	// OnChange is called when streams may have become free in other ways than
	// by the end of a request, and when the connection retires or ends. It
	// must not block and not call the Conn.
	OnChange func()
}

func (c Config) withDefaults() Config {
	sizes := []struct {
		field *int
		value int
	}{{&c.MaxStreams, defaultStreams}, {&c.MaxAnswer, defaultAnswer}, {&c.MaxHeader, defaultHeader}}
	for _, d := range sizes {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	times := []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.BodyTimeout, 2 * time.Second},
		{&c.WriteTimeout, 10 * time.Second},
		{&c.IdleTimeout, 5 * time.Minute},
		{&c.PingTimeout, 5 * time.Second},
		{&c.PingInterval, 5 * time.Minute},
	}
	for _, d := range times {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.OnChange == nil {
		c.OnChange = func() {}
	}
	return c
}

// Conn is an HTTP/2 connection. It is safe for concurrent use. Two goroutines
// belong to it, which end with it.
type Conn struct {
	config Config
	nc     net.Conn
	framer *http2.Framer // ReadFrame is the reader's, the rest is under mu
	answer answerReader  // the reader's alone

	wake chan struct{} // holds one token when the writer has something to do
	done chan struct{} // closed when both goroutines have ended
	left atomic.Int32  // goroutines
	pool sync.Pool     // of *stream

	mu       sync.Mutex
	out      outBuffer
	woken    bool // the writer knows that there is something to do
	spare    []byte
	header   headerEncoder
	streams  map[uint32]*stream
	blocked  []*stream // waiting for the peer's windows, in their order
	nextID   uint32
	reserved int // Reserve without RoundTrip so far
	served   int // answers

	peer       peerSettings
	sendWindow int64 // connection's, of the peer
	recvWindow int64 // connection's, what the peer may still send
	chatter    chatter
	health     health

	draining error // no new requests; the connection ends with the last one
	goAway   uint32
	err      error // the connection has ended
	rude     bool  // so suddenly that there are no last words
}

// peerSettings are the peer's SETTINGS as far as they concern us.
type peerSettings struct {
	streams  uint32 // SETTINGS_MAX_CONCURRENT_STREAMS
	window   int64  // SETTINGS_INITIAL_WINDOW_SIZE
	maxFrame int    // SETTINGS_MAX_FRAME_SIZE
}

// New takes over nc, on which nothing was said yet, and waits for the peer's
// SETTINGS until ctx ends. It closes nc when it fails and when the Conn ends.
func New(ctx context.Context, nc net.Conn, config Config) (*Conn, error) {
	c := newConn(nc, config)
	if err := c.greet(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("opening HTTP/2: %w", err)
	}
	c.mu.Lock()
	c.health.idle = time.AfterFunc(c.config.IdleTimeout, c.checkIdle)
	c.mu.Unlock()
	c.left.Store(2)
	go c.guard(c.write)
	go c.guard(c.read)
	return c, nil
}

func newConn(nc net.Conn, config Config) *Conn {
	c := &Conn{
		config:     config.withDefaults(),
		nc:         nc,
		wake:       make(chan struct{}, 1),
		done:       make(chan struct{}),
		streams:    make(map[uint32]*stream),
		nextID:     1,
		peer:       peerSettings{streams: 1<<32 - 1, window: 65535, maxFrame: 16384},
		sendWindow: 65535,
		recvWindow: connWindow,
		goAway:     maxStreamID,
		pool:       sync.Pool{New: newStream},
	}
	c.framer = http2.NewFramer(&c.out, bufio.NewReaderSize(nc, readBuffer))
	c.framer.SetMaxReadFrameSize(16384)
	c.framer.SetReuseFrames()
	c.header.encoder = hpack.NewEncoder(&c.header.block)
	c.answer.init(c.config.MaxHeader)
	return c
}

// greet says hello (RFC 9113 §3.4) and waits for the peer to do so.
func (c *Conn) greet(ctx context.Context) error {
	c.out.b = append(c.out.b, http2.ClientPreface...)
	err := c.framer.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		// No stream gets more, as its window is never opened again: the bound
		// on answers is the peer's to keep.
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(c.config.MaxAnswer)},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: uint32(c.config.MaxHeader)},
	)
	if err != nil {
		return fmt.Errorf("framing SETTINGS: %w", err)
	}
	if err := c.framer.WriteWindowUpdate(0, connWindow-65535); err != nil {
		return fmt.Errorf("framing WINDOW_UPDATE: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err = c.exchangeSettings()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	if !stop() {
		return ctx.Err()
	}
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("lifting the deadline: %w", err)
	}
	return nil
}

func (c *Conn) exchangeSettings() error {
	if _, err := c.nc.Write(c.out.take(nil)); err != nil {
		return fmt.Errorf("writing SETTINGS: %w", err)
	}
	frame, err := c.framer.ReadFrame()
	if err != nil {
		return fmt.Errorf("reading SETTINGS: %w", err)
	}
	settings, ok := frame.(*http2.SettingsFrame)
	if !ok || settings.IsAck() {
		return breach(http2.ErrCodeProtocol, "its first frame is not SETTINGS")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.onSettings(settings)
}

// guard runs one of the two goroutines. However it ends, so does the Conn.
func (c *Conn) guard(run func() error) {
	defer func() {
		if value := recover(); value != nil {
			c.fail(&panicError{value})
			c.nc.Close()
		}
		if c.left.Add(-1) == 0 {
			close(c.done)
		}
	}()
	if err := run(); err != nil {
		c.fail(err)
	}
}

// Done is closed when the connection has ended and its goroutines with it.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is nil as long as the connection takes requests or has some under way
// that may be answered.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// InFlight is the number of requests under way or reserved.
func (c *Conn) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams) + c.reserved
}

// Retired says that the connection takes no new requests any more.
func (c *Conn) Retired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil || c.draining != nil
}

// Served is the number of requests that were answered.
func (c *Conn) Served() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.served
}

// Reserve takes the right to one RoundTrip, which must follow; false where all
// streams are in use or the connection takes no requests.
func (c *Conn) Reserve() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.draining != nil || c.health.pinged || len(c.streams)+c.reserved >= c.limit() {
		return false
	}
	c.reserved++
	return true
}

// limit is how many streams there may be. c.mu is held.
func (c *Conn) limit() int { return int(min(uint32(c.config.MaxStreams), c.peer.streams)) }

// Shutdown lets the requests under way come to their end and then closes the
// connection. It does not wait; Done does.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retire(ErrClosed)
}

// Close ends the connection now.
func (c *Conn) Close() { c.fail(ErrClosed) }

// retire takes no more requests. c.mu is held.
func (c *Conn) retire(cause error) {
	if c.draining == nil {
		c.draining = cause
		c.config.OnChange()
	}
	c.endIfDrained()
}

// endIfDrained ends a retired connection when its last request has ended. c.mu
// is held.
func (c *Conn) endIfDrained() {
	if c.draining == nil || c.err != nil || len(c.streams) > 0 {
		return
	}
	c.parting(http2.ErrCodeNo)
	c.end(c.draining)
}

// fail ends the connection because of err, the first one counting.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(err)
}

func (c *Conn) failLocked(err error) {
	if c.err != nil {
		return
	}
	var wrong *ProtocolError
	switch {
	case errors.As(err, &wrong):
		c.parting(wrong.Code)
	case errors.Is(err, ErrClosed):
		c.parting(http2.ErrCodeNo)
	default:
		c.rude = true
	}
	// Whoever is in the middle of a write must not stay there; the last words
	// have a deadline of their own.
	_ = c.nc.SetDeadline(time.Unix(1, 0))
	c.end(err)
}

// parting frames GOAWAY; the peer never opened a stream. c.mu is held.
func (c *Conn) parting(code http2.ErrCode) { _ = c.framer.WriteGoAway(0, code, nil) }

// end gives every request its outcome and tells the writer to close. c.mu is
// held.
func (c *Conn) end(err error) {
	c.err = err
	c.health.stop()
	for _, st := range c.streams {
		c.finish(st, err)
	}
	clear(c.blocked)
	c.blocked = nil
	c.wakeWriter()
	c.config.OnChange()
}
