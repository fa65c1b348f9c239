//go:build e2e

package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// line is the network between a browser and a site. It can be slow, and it can be
// cut.
type line struct {
	listener net.Listener
	site     string // the address where the site listens

	mu    sync.Mutex
	delay time.Duration // of each piece, in each direction
	cut   bool
	open  map[net.Conn]bool
}

// linePiece is the largest number of bytes that a line transfers at once.
const linePiece = 16 << 10

// startLine forwards an address to a site.
func startLine(t *testing.T, address, site string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	must(t, err)
	l := &line{listener: listener, site: site, open: make(map[net.Conn]bool)}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { l.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.set(0, true)
		running.Wait()
	})
	return l
}

// set changes the line. Cutting it closes its connections.
func (l *line) set(delay time.Duration, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay, l.cut = delay, cut
	if cut {
		for conn := range l.open {
			_ = conn.Close()
		}
	}
}

func (l *line) serve(conn net.Conn) {
	defer conn.Close()
	l.mu.Lock()
	cut := l.cut
	l.open[conn] = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.open, conn)
		l.mu.Unlock()
	}()
	if cut {
		return
	}
	site, err := net.Dial("tcp", l.site)
	if err != nil {
		return
	}
	defer site.Close()
	up := make(chan struct{})
	go func() {
		defer close(up)
		l.carry(site, conn)
		_ = site.Close()
	}()
	l.carry(conn, site)
	_ = conn.Close()
	<-up
}

func (l *line) carry(to io.Writer, from io.Reader) {
	piece := make([]byte, linePiece)
	for {
		n, err := from.Read(piece)
		if n > 0 {
			l.mu.Lock()
			delay := l.delay
			l.mu.Unlock()
			time.Sleep(delay)
			if _, err := to.Write(piece[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
