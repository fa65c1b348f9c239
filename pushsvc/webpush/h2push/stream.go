package h2push

import (
	"context"
	"net/http"
	"slices"
	"time"

	"golang.org/x/net/http2"
)

// Field is a header field. Name is in lower case (RFC 9113 §8.2.1). Neither is checked: the caller must check
// foreign input.
type Field struct{ Name, Value string }

// Request is a POST.
type Request struct {
	Authority string // host, with a port other than 443
	// Path is the request target, with its query. It is secret and always different, so it stays out of the
	// compression tables (RFC 7541 §7.1.3).
	Path string
	// Header has all fields except content-length. Fields that stay the same in the next request, in the same
	// order, cost nearly nothing.
	Header []Field
	// Body is neither changed nor kept after RoundTrip.
	Body []byte
}

// Response is an answer.
type Response struct {
	Status int // 200 to 599, or any other three digits that the peer sends
	// Header is nil for 2xx, because it is not used then.
	Header http.Header
	// Body is the beginning of the body, at most Config.MaxAnswer bytes.
	Body []byte
}

// stream is a request in flight. While it is in the Conn's map, mu guards everything except done and timer;
// afterwards it belongs to RoundTrip.
type stream struct {
	id     uint32
	window int64  // of the peer
	body   []byte // not yet framed
	end    uint64 // outBuffer.total after its last frame, 0 before
	heard  uint64 // health.frames when it began
	// recvWindow is what the peer may still send.
	recvWindow int64
	deadline   time.Time
	interim    int // 1xx answers

	response Response
	err      *Error

	timer *time.Timer
	done  chan struct{} // holds a token when there is an outcome
}

func newStream() any {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &stream{timer: timer, done: make(chan struct{}, 1)}
}

func (c *Conn) recycle(st *stream) {
	st.timer.Stop()
	*st = stream{timer: st.timer, done: st.done}
	c.pool.Put(st)
}

// RoundTrip sends r on a reserved stream and waits for the answer until the deadline or the end of ctx. The
// error is an *Error. An answer whose status has arrived counts, even without its body.
func (c *Conn) RoundTrip(ctx context.Context, r *Request, deadline time.Time) (Response, error) {
	st := c.pool.Get().(*stream)
	defer c.recycle(st)
	st.deadline = deadline
	st.timer.Reset(time.Until(deadline))
	if err := c.start(st, r); err != nil {
		return Response{}, err
	}
	select {
	case <-st.done:
	case <-ctx.Done():
		c.abandon(st, ctx.Err())
	case <-st.timer.C:
		c.abandon(st, context.DeadlineExceeded)
	}
	if st.err != nil {
		return Response{}, st.err
	}
	return st.response, nil
}

// start opens a stream and frames the request.
func (c *Conn) start(st *stream, r *Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reserved--
	switch {
	case c.err != nil:
		return &Error{Unprocessed: true, cause: c.err}
	case c.draining != nil:
		return &Error{Unprocessed: true, cause: c.draining}
	case len(c.streams) >= c.limit():
		return &Error{Unprocessed: true, cause: ErrFull}
	}
	st.id = c.nextID
	if c.nextID += 2; c.nextID > maxStreamID {
		c.draining = ErrClosed // this is the last one
	}
	st.window, st.recvWindow, st.heard = c.peer.window, int64(c.config.MaxAnswer), c.health.frames
	st.body = r.Body
	c.streams[st.id] = st
	c.writeHeader(st, r)
	c.startBody(st)
	c.wakeWriter()
	return nil
}

// writeHeader frames the header, in as many frames as the peer's limit requires. c.mu is held.
func (c *Conn) writeHeader(st *stream, r *Request) {
	block := c.header.encode(r)
	first := block[:min(len(block), c.peer.maxFrame)]
	block = block[len(first):]
	_ = c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: st.id, BlockFragment: first, EndHeaders: len(block) == 0, EndStream: len(r.Body) == 0,
	})
	for len(block) > 0 {
		next := block[:min(len(block), c.peer.maxFrame)]
		block = block[len(next):]
		_ = c.framer.WriteContinuation(st.id, len(block) == 0, next)
	}
	if len(r.Body) == 0 {
		st.end = c.out.total
	}
}

// startBody frames as much of a body as the peer's windows allow, and queues the stream for the rest. c.mu is
// held.
func (c *Conn) startBody(st *stream) {
	if len(st.body) > 0 && !c.frameBody(st) {
		c.blocked = append(c.blocked, st)
	}
}

func (c *Conn) frameBody(st *stream) (whole bool) {
	for len(st.body) > 0 {
		n := min(int64(len(st.body)), st.window, c.sendWindow, int64(c.peer.maxFrame))
		if n <= 0 {
			return false
		}
		_ = c.framer.WriteData(st.id, n == int64(len(st.body)), st.body[:n])
		st.body = st.body[n:]
		st.window -= n
		c.sendWindow -= n
	}
	st.end = c.out.total
	return true
}

// pourBlocked continues after the window of the connection, or of all streams, was opened. c.mu is held.
func (c *Conn) pourBlocked() {
	stillBlocked := c.blocked[:0]
	for _, st := range c.blocked {
		if !c.resumeBody(st) {
			stillBlocked = append(stillBlocked, st)
		}
	}
	clear(c.blocked[len(stillBlocked):])
	c.blocked = stillBlocked
}

// resumeBody is frameBody for a stream that waited for a window.
func (c *Conn) resumeBody(st *stream) (whole bool) {
	before := len(st.body)
	whole = c.frameBody(st)
	if len(st.body) < before {
		c.chatter.forgive()
		c.wakeWriter()
	}
	return whole
}

// unblock removes a stream from the queue. c.mu is held.
func (c *Conn) unblock(st *stream) {
	if i := slices.Index(c.blocked, st); i >= 0 {
		c.blocked = slices.Delete(c.blocked, i, i+1)
	}
}

// finish ends a request with its outcome: the answer if its status is known, err otherwise. c.mu is
// held.
func (c *Conn) finish(st *stream, err error) {
	c.release(st, err)
	st.done <- struct{}{} // never blocks: it leaves the map only once
}

func (c *Conn) release(st *stream, err error) {
	delete(c.streams, st.id)
	if len(st.body) > 0 {
		c.unblock(st)
		st.body = nil
	}
	if st.response.Status != 0 {
		c.served++
		c.chatter.forgive()
		return
	}
	st.err = &Error{Unprocessed: c.unprocessed(st, err), cause: err}
}

// unprocessed reports whether the peer cannot have processed a request without an answer: it lacks a part, or
// the peer says so (RFC 9113 §6.8 and §8.7).
func (c *Conn) unprocessed(st *stream, err error) bool {
	if st.end == 0 || st.end > c.out.handed || st.id > c.goAway {
		return true
	}
	reset, ok := err.(*ResetError)
	return ok && (reset.Code == http2.ErrCodeRefusedStream || reset.Code == http2.ErrCodeHTTP11Required)
}

// abandon ends a request that ran out of time, unless it already has an outcome.
func (c *Conn) abandon(st *stream, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams[st.id] != st {
		<-st.done
		return
	}
	c.reset(st.id, http2.ErrCodeCancel)
	silent := st.response.Status == 0 && st.end != 0 && st.heard == c.health.frames
	c.release(st, err)
	if silent && err == context.DeadlineExceeded {
		c.suspect()
	}
	c.endIfDrained()
}

// reset frames RST_STREAM. c.mu is held.
func (c *Conn) reset(id uint32, code http2.ErrCode) {
	_ = c.framer.WriteRSTStream(id, code)
	c.wakeWriter()
}
