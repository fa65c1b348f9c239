package h2push

import (
	"fmt"
	"runtime"
	"time"
)

// outBuffer collects frames. total is the number of bytes ever written to it.
type outBuffer struct {
	b     []byte
	total uint64
	// handed is total at the last write to the network.
	handed uint64
}

// Write implements io.Writer for the framer; it never fails.
func (o *outBuffer) Write(p []byte) (int, error) {
	o.b = append(o.b, p...)
	o.total += uint64(len(p))
	return len(p), nil
}

// take returns the collected bytes and continues in another buffer.
func (o *outBuffer) take(next []byte) []byte {
	full := o.b
	o.b = next[:0]
	return full
}

// keepBuffer is the largest buffer that is reused.
const keepBuffer = 256 << 10

// wakeWriter is called with c.mu held, after frames were written to c.out.
func (c *Conn) wakeWriter() {
	if !c.woken {
		c.woken = true
		c.wake <- struct{}{} // never blocks: woken reports whether the only token is there
	}
}

// write is the writer's goroutine.
func (c *Conn) write() error {
	for range c.wake {
		// Goroutines that are about to send do so before this one runs again: under load one write, one TLS
		// record and one system call carry dozens of requests. Without any, this costs nothing.
		runtime.Gosched()
		batch, last := c.nextBatch()
		if last {
			return c.writeLast(batch)
		}
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.config.WriteTimeout))
		if _, err := c.nc.Write(batch); err != nil {
			c.fail(fmt.Errorf("writing: %w", err))
		}
		c.keepSpare(batch)
	}
	return nil
}

// nextBatch returns the bytes to write, and whether they are the last.
func (c *Conn) nextBatch() (batch []byte, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.woken = false
	batch = c.out.take(c.spare)
	c.spare = nil
	c.out.handed = c.out.total
	return batch, c.err != nil
}

func (c *Conn) keepSpare(batch []byte) {
	if cap(batch) > keepBuffer {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spare = batch[:0]
}

// writeLast writes the last frames, if there is a peer for them, and closes the connection, which also ends the
// reader.
func (c *Conn) writeLast(words []byte) error {
	c.mu.Lock()
	rude := c.abrupt
	c.mu.Unlock()
	if !rude {
		_ = c.nc.SetWriteDeadline(time.Now().Add(goAwayTimeout))
		_, _ = c.nc.Write(words) // the peer may be gone already
	}
	c.nc.Close()
	return nil
}
