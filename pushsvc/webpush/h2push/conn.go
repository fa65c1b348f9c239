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
	// defaultStreams is the maximum number of requests in flight on a connection. More are not cheaper, and
	// more are lost when the connection breaks.
	defaultStreams = 256
	defaultAnswer  = 4 << 10
	defaultHeader  = 16 << 10

	readBuffer = 16 << 10
	// connWindow is what the peer may send on all streams together before we open the window again (RFC 9113
	// §6.9).
	connWindow = 1 << 20
	// maxStreamID ends a connection's life (RFC 9113 §5.1.1).
	maxStreamID = 1<<31 - 1
	// goAwayTimeout bounds the final write of a connection.
	goAwayTimeout = time.Second
)

// Config configures a Conn. Zero fields have the given defaults.
type Config struct {
	// MaxStreams bounds the requests in flight; 256. The peer's own limit applies too.
	MaxStreams int
	// MaxAnswer is how many bytes of an answer's body are read; 4096. The rest is not read, and the answer
	// counts as complete.
	MaxAnswer int
	// MaxHeader is how much of an answer's header is kept, counted as in RFC 9113 §10.5.1; 16 KiB. The rest
	// is skipped; a header that is four times as long ends the connection.
	MaxHeader int
	// BodyTimeout bounds the wait for an answer's body after its header; 2 s.
	BodyTimeout time.Duration
	// WriteTimeout bounds a write; 10 s.
	WriteTimeout time.Duration
	// IdleTimeout closes a connection that had no request for that long, after at most twice as long; 5 min.
	IdleTimeout time.Duration
	// PingTimeout bounds the wait for the answer to a PING, which is sent when a request timed out in total
	// silence; 5 s.
	PingTimeout time.Duration
	// PingInterval is the minimum time between two PINGs; 5 min, because push services close connections that
	// ping more often (too_many_pings). A connection that falls silent again within it is retired.
	PingInterval time.Duration
	// OnChange is called when streams may have become free other than by the end of a request, and when the
	// connection retires or ends. It must not block and not call the Conn.
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

// Conn is an HTTP/2 connection. It is safe for concurrent use. It has two goroutines, which end with it.
type Conn struct {
	config Config
	nc     net.Conn
	framer *http2.Framer // ReadFrame belongs to the reader, the rest is under mu
	answer answerReader  // belongs to the reader

	wake    chan struct{} // holds one token when the writer has something to do
	done    chan struct{} // closed when both goroutines have ended
	running atomic.Int32  // goroutines
	pool    sync.Pool     // of *stream

	mu       sync.Mutex
	out      outBuffer
	woken    bool // the writer has been woken and not yet looked
	spare    []byte
	header   headerEncoder
	streams  map[uint32]*stream
	blocked  []*stream // waiting for the peer's windows, in their order
	nextID   uint32
	reserved int // calls of Reserve whose RoundTrip is still to come
	served   int // answers

	peer       peerSettings
	sendWindow int64 // the connection's, of the peer
	recvWindow int64 // the connection's: what the peer may still send
	chatter    uselessFrames
	health     health

	draining error // no new requests; the connection ends with the last one
	goAway   uint32
	err      error // why the connection has ended
	abrupt   bool  // it has ended without a GOAWAY
}

// peerSettings are the peer's SETTINGS that we use.
type peerSettings struct {
	streams  uint32 // SETTINGS_MAX_CONCURRENT_STREAMS
	window   int64  // SETTINGS_INITIAL_WINDOW_SIZE
	maxFrame int    // SETTINGS_MAX_FRAME_SIZE
}

// New takes over nc, which must be unused, and waits for the peer's SETTINGS until ctx ends. It closes nc
// when it fails and when the Conn ends.
func New(ctx context.Context, nc net.Conn, config Config) (*Conn, error) {
	c := newConn(nc, config)
	if err := c.handshake(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("opening HTTP/2: %w", err)
	}
	c.mu.Lock()
	c.health.idle = time.AfterFunc(c.config.IdleTimeout, c.checkIdle)
	c.mu.Unlock()
	c.running.Store(2)
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

// handshake sends the preface (RFC 9113 §3.4) and waits for the peer's.
func (c *Conn) handshake(ctx context.Context) error {
	c.out.b = append(c.out.b, http2.ClientPreface...)
	err := c.framer.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		// A stream's window is never opened again, so the peer must keep the bound on answers.
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
		return violationOf(http2.ErrCodeProtocol, "its first frame is not SETTINGS")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.onSettings(settings)
}

// guard runs one of the two goroutines. When it ends, the Conn ends.
func (c *Conn) guard(run func() error) {
	defer func() {
		if value := recover(); value != nil {
			c.fail(&panicError{value})
			c.nc.Close()
		}
		if c.running.Add(-1) == 0 {
			close(c.done)
		}
	}()
	if err := run(); err != nil {
		c.fail(err)
	}
}

// Done is closed when the connection has ended and its goroutines with it.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns nil as long as the connection accepts requests or may still answer some.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// InFlight returns the number of requests in flight or reserved.
func (c *Conn) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams) + c.reserved
}

// Retired reports whether the connection accepts no new requests.
func (c *Conn) Retired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil || c.draining != nil
}

// Served returns the number of answered requests.
func (c *Conn) Served() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.served
}

// Reserve reserves one RoundTrip, which must follow; false if all streams are in use or the connection
// accepts no requests.
func (c *Conn) Reserve() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.draining != nil || c.health.pinged || len(c.streams)+c.reserved >= c.limit() {
		return false
	}
	c.reserved++
	return true
}

// limit returns the maximum number of streams. c.mu is held.
func (c *Conn) limit() int { return int(min(uint32(c.config.MaxStreams), c.peer.streams)) }

// Shutdown closes the connection after the requests in flight. It does not wait; wait for Done.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retire(ErrClosed)
}

// Close ends the connection now.
func (c *Conn) Close() { c.fail(ErrClosed) }

// retire stops accepting requests. c.mu is held.
func (c *Conn) retire(cause error) {
	if c.draining == nil {
		c.draining = cause
		c.config.OnChange()
	}
	c.endIfDrained()
}

// endIfDrained ends a retired connection after its last request. c.mu is held.
func (c *Conn) endIfDrained() {
	if c.draining == nil || c.err != nil || len(c.streams) > 0 {
		return
	}
	c.frameGoAway(http2.ErrCodeNo)
	c.end(c.draining)
}

// fail ends the connection because of err. Only the first error counts.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(err)
}

func (c *Conn) failLocked(err error) {
	if c.err != nil {
		return
	}
	var violation *ProtocolError
	switch {
	case errors.As(err, &violation):
		c.frameGoAway(violation.Code)
	case errors.Is(err, ErrClosed):
		c.frameGoAway(http2.ErrCodeNo)
	default:
		c.abrupt = true
	}
	// A blocked write must end; the final write has its own deadline.
	_ = c.nc.SetDeadline(time.Unix(1, 0))
	c.end(err)
}

// frameGoAway frames GOAWAY; the peer never opened a stream. c.mu is held.
func (c *Conn) frameGoAway(code http2.ErrCode) { _ = c.framer.WriteGoAway(0, code, nil) }

// end ends every request with its outcome and tells the writer to close. c.mu is held.
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
