package h2push

import (
	"fmt"
	"runtime"
	"time"
)

// outBuffer collects frames. total is the number of bytes that ever went in.
type outBuffer struct {
	b     []byte
	total uint64
	// handed is total at the last time that bytes were handed to the network.
	handed uint64
}

// Write implements io.Writer for the framer; it never fails.
func (o *outBuffer) Write(p []byte) (int, error) {
	o.b = append(o.b, p...)
	o.total += uint64(len(p))
	return len(p), nil
}

// take gives what was collected and goes on in another buffer.
func (o *outBuffer) take(next []byte) []byte {
	full := o.b
	o.b = next[:0]
	return full
}

// keepBuffer is the largest buffer that is kept for the next batch.
const keepBuffer = 256 << 10

// wakeWriter is called with c.mu held, after frames were written into c.out.
func (c *Conn) wakeWriter() {
	if !c.woken {
		c.woken = true
		c.wake <- struct{}{} // never blocks: one token, and woken says whether it is there
	}
}

// write is the writer's goroutine.
func (c *Conn) write() error {
	for range c.wake {
		// Whoever is about to send does so before this goroutine runs again:
		// under load one write, one TLS record and one system call carry
		// dozens of requests. When there is nobody, this costs nothing.
		runtime.Gosched()
		batch, last := c.nextBatch()
		if last {
			return c.part(batch)
		}
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.config.WriteTimeout))
		if _, err := c.nc.Write(batch); err != nil {
			c.fail(fmt.Errorf("writing: %w", err))
		}
		c.giveBack(batch)
	}
	return nil
}

// nextBatch takes what is to be written, and says whether it is the last.
func (c *Conn) nextBatch() (batch []byte, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.woken = false
	batch = c.out.take(c.spare)
	c.spare = nil
	c.out.handed = c.out.total
	return batch, c.err != nil
}

func (c *Conn) giveBack(batch []byte) {
	if cap(batch) > keepBuffer {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spare = batch[:0]
}

// part says the last words, where there is somebody to hear them, and closes
// the connection, which ends the reader too.
func (c *Conn) part(words []byte) error {
	c.mu.Lock()
	rude := c.rude
	c.mu.Unlock()
	if !rude {
		_ = c.nc.SetWriteDeadline(time.Now().Add(partingTime))
		_, _ = c.nc.Write(words) // it may be gone already
	}
	c.nc.Close()
	return nil
}
