package h2push

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/net/http2"
)

const (
	// maxInterim is how many 1xx answers a request may get.
	maxInterim = 16
	// headerFactor is how much longer on the wire than MaxHeader a header may be. Skipping it costs work,
	// because the table must be maintained.
	headerFactor = 4
	// maxFragments is how many CONTINUATIONs a header may have.
	maxFragments = 64
	// maxDebug is how much of a GOAWAY's text is kept.
	maxDebug = 100
)

// read is the reader's goroutine.
func (c *Conn) read() error {
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			if err = c.onReadError(err); err != nil {
				return err
			}
			continue
		}
		if err := c.onFrame(frame); err != nil {
			return err
		}
	}
}

// onReadError returns the error that a failed read means for the connection; nil if it only concerns one
// stream.
func (c *Conn) onReadError(err error) error {
	var (
		onStream http2.StreamError
		onConn   http2.ConnectionError
	)
	switch {
	case errors.As(err, &onStream):
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.failStream(onStream.StreamID, onStream.Code, "malformed frame")
	case errors.As(err, &onConn):
		return violationOf(http2.ErrCode(onConn), "malformed frame")
	case errors.Is(err, http2.ErrFrameTooLarge):
		return violationOf(http2.ErrCodeFrameSize, "frame too large")
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the peer closed the connection: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("reading: %w", err)
}

// onFrame handles a frame. An error ends the connection.
func (c *Conn) onFrame(frame http2.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.heard()
	switch f := frame.(type) {
	case *http2.HeadersFrame:
		return c.onHeaders(f)
	case *http2.ContinuationFrame:
		return c.onFragment(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.DataFrame:
		return c.onData(f)
	}
	if c.chatter.tooMuch(time.Now) {
		return violationOf(http2.ErrCodeEnhanceYourCalm, "too many useless frames")
	}
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		return c.onSettings(f)
	case *http2.WindowUpdateFrame:
		return c.onWindowUpdate(f)
	case *http2.RSTStreamFrame:
		return c.onReset(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			_ = c.framer.WritePing(true, f.Data)
			c.wakeWriter()
		}
	case *http2.GoAwayFrame:
		c.onGoAway(f)
	case *http2.PushPromiseFrame:
		return violationOf(http2.ErrCodeProtocol, "PUSH_PROMISE although push is off")
	}
	// Others have no meaning here (RFC 9113 §5.5).
	return nil
}

// isIdle reports whether a stream was never opened: frames on it violate the protocol (RFC 9113 §5.1). Only
// we open streams, and their numbers are odd.
func (c *Conn) isIdle(id uint32) bool { return id >= c.nextID || id%2 == 0 }

// failStream ends a stream because of the peer's fault on it.
func (c *Conn) failStream(id uint32, code http2.ErrCode, problem string) error {
	if c.isIdle(id) {
		return violationOf(http2.ErrCodeProtocol, problem+" on a stream that was never opened")
	}
	if st := c.streams[id]; st != nil {
		c.reset(id, code)
		c.conclude(st, violationOf(code, problem))
	}
	return nil
}

// conclude is finish when the peer caused the end.
func (c *Conn) conclude(st *stream, err error) {
	c.finish(st, err)
	c.endIfDrained()
}

func (c *Conn) onHeaders(f *http2.HeadersFrame) error {
	if c.isIdle(f.StreamID) {
		return violationOf(http2.ErrCodeProtocol, "HEADERS on a stream that was never opened")
	}
	c.answer.begin(f.StreamID, f.StreamEnded())
	return c.onFragment(f.HeaderBlockFragment(), f.HeadersEnded())
}

// onFragment decodes a fragment of a header block. Blocks of streams that have ended are decoded too, because
// they change the table.
func (c *Conn) onFragment(fragment []byte, last bool) error {
	a := &c.answer
	a.fragments++
	if a.wire += len(fragment); a.wire > headerFactor*a.limit || a.fragments > maxFragments {
		return violationOf(http2.ErrCodeEnhanceYourCalm, "endless header")
	}
	if _, err := a.decoder.Write(fragment); err != nil {
		return violationOf(http2.ErrCodeCompression, "header that cannot be decoded")
	}
	if !last {
		return nil
	}
	if err := a.decoder.Close(); err != nil {
		return violationOf(http2.ErrCodeCompression, "truncated header")
	}
	return c.onHeader()
}

// onHeader handles a complete header: interim, final or trailer.
func (c *Conn) onHeader() error {
	a := &c.answer
	st := c.streams[a.stream]
	if st == nil {
		if c.chatter.tooMuch(time.Now) {
			return violationOf(http2.ErrCodeEnhanceYourCalm, "too many headers on streams that ended")
		}
		return nil
	}
	switch {
	case st.response.Status != 0: // trailer; its content comes too late
		if !a.endStream {
			return c.failStream(st.id, http2.ErrCodeProtocol, "second header")
		}
	case a.status == 0:
		return c.failStream(st.id, http2.ErrCodeProtocol, "header without status")
	case a.status < 200:
		if st.interim++; a.endStream || st.interim > maxInterim || a.status == 101 {
			return c.failStream(st.id, http2.ErrCodeProtocol, "misplaced interim answer")
		}
		return nil
	default:
		st.response.Status, st.response.Header = a.status, a.header
	}
	if a.endStream {
		c.onEnd(st)
		return nil
	}
	// The status is known, so a slow body must not hold the sender.
	st.timer.Reset(min(c.config.BodyTimeout, time.Until(st.deadline)))
	return nil
}

// onEnd concludes a stream that the peer has ended. If our request is not complete, the peer does not want
// the rest (RFC 9113 §8.1).
func (c *Conn) onEnd(st *stream) {
	if st.end == 0 {
		c.reset(st.id, http2.ErrCodeCancel)
	}
	c.conclude(st, nil)
}

func (c *Conn) onData(f *http2.DataFrame) error {
	size := int64(f.Length) // with padding (RFC 9113 §6.9.1)
	if c.isIdle(f.StreamID) {
		return violationOf(http2.ErrCodeProtocol, "DATA on a stream that was never opened")
	}
	// The window is opened again long before it is used up, so a correct peer can't exceed it.
	if c.recvWindow -= size; c.recvWindow < connWindow/2 {
		_ = c.framer.WriteWindowUpdate(0, uint32(connWindow-c.recvWindow))
		c.recvWindow = connWindow
		c.wakeWriter()
	}
	st := c.streams[f.StreamID]
	if (st == nil || len(f.Data()) == 0 && !f.StreamEnded()) && c.chatter.tooMuch(time.Now) {
		return violationOf(http2.ErrCodeEnhanceYourCalm, "too much useless DATA")
	}
	switch {
	case st == nil:
		return nil // it crossed our RST_STREAM
	case st.response.Status == 0:
		return c.failStream(st.id, http2.ErrCodeProtocol, "DATA before the header")
	case size > st.recvWindow:
		return c.failStream(st.id, http2.ErrCodeFlowControl, "DATA beyond the stream's window")
	}
	st.recvWindow -= size
	st.response.Body = append(st.response.Body, f.Data()...)
	switch {
	case f.StreamEnded():
		c.onEnd(st)
	case st.recvWindow == 0:
		// We take no more; padding counts too.
		c.reset(st.id, http2.ErrCodeCancel)
		c.conclude(st, nil)
	}
	return nil
}

func (c *Conn) onWindowUpdate(f *http2.WindowUpdateFrame) error {
	const most = 1<<31 - 1
	if f.StreamID == 0 {
		if c.sendWindow += int64(f.Increment); c.sendWindow > most {
			return violationOf(http2.ErrCodeFlowControl, "connection window too large")
		}
		c.pourBlocked()
		return nil
	}
	st := c.streams[f.StreamID]
	if st == nil {
		if c.isIdle(f.StreamID) {
			return violationOf(http2.ErrCodeProtocol, "WINDOW_UPDATE on a stream that was never opened")
		}
		return nil
	}
	if st.window += int64(f.Increment); st.window > most {
		return c.failStream(st.id, http2.ErrCodeFlowControl, "stream window too large")
	}
	if len(st.body) > 0 && c.resumeBody(st) {
		c.unblock(st)
	}
	return nil
}

func (c *Conn) onReset(f *http2.RSTStreamFrame) error {
	if c.isIdle(f.StreamID) {
		return violationOf(http2.ErrCodeProtocol, "RST_STREAM on a stream that was never opened")
	}
	if st := c.streams[f.StreamID]; st != nil {
		c.conclude(st, &ResetError{f.ErrCode})
	}
	return nil
}

// onGoAway finishes the streams up to the last one that the peer processes. Others were not processed (RFC
// 9113 §6.8).
func (c *Conn) onGoAway(f *http2.GoAwayFrame) {
	debug := f.DebugData()
	cause := &GoAwayError{Code: f.ErrCode, Debug: string(debug[:min(len(debug), maxDebug)])}
	c.goAway = min(c.goAway, f.LastStreamID)
	for id, st := range c.streams {
		if id > c.goAway {
			c.finish(st, cause)
		}
	}
	c.retire(cause)
}

// onSettings applies the peer's SETTINGS and acknowledges them.
func (c *Conn) onSettings(f *http2.SettingsFrame) error {
	if err := f.ForeachSetting(c.onSetting); err != nil {
		return err
	}
	_ = c.framer.WriteSettingsAck()
	c.pourBlocked()
	c.wakeWriter()
	c.config.OnChange()
	return nil
}

func (c *Conn) onSetting(s http2.Setting) error {
	if err := s.Valid(); err != nil {
		code := http2.ErrCodeProtocol
		if s.ID == http2.SettingInitialWindowSize {
			code = http2.ErrCodeFlowControl
		}
		return violationOf(code, "setting out of range")
	}
	switch s.ID {
	case http2.SettingMaxConcurrentStreams:
		c.peer.streams = s.Val
	case http2.SettingMaxFrameSize:
		c.peer.maxFrame = int(s.Val)
	case http2.SettingHeaderTableSize:
		c.header.resize(s.Val)
	case http2.SettingInitialWindowSize:
		// Applies to open streams too; windows may become negative (§6.9.2).
		delta := int64(s.Val) - c.peer.window
		c.peer.window = int64(s.Val)
		for _, st := range c.streams {
			if st.window += delta; st.window > 1<<31-1 {
				return violationOf(http2.ErrCodeFlowControl, "stream window too large")
			}
		}
	case http2.SettingEnablePush:
		if s.Val != 0 {
			return violationOf(http2.ErrCodeProtocol, "server offers push to a server")
		}
	}
	return nil
}
