package fakefcm

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/pushservice"
)

// queued is a message on its way to a browser.
type queued struct {
	id     string // persistent id
	to     registration
	body   []byte
	topic  string
	ttl    time.Duration
	sent   time.Time
	stream uint64 // its number on the current connection, 0 when not sent there
}

// device is one browser profile. Server.mu guards it.
type device struct {
	queue []queued    // not acknowledged yet, oldest first
	conn  *connection // nil while not connected
}

func (d *device) disconnect() {
	if d.conn != nil {
		d.conn.close()
		d.conn = nil
	}
}

// flush sends what has not been sent on the current connection.
func (d *device) flush() {
	if d.conn == nil {
		return
	}
	for i := range d.queue {
		if d.queue[i].stream == 0 {
			d.queue[i].stream = d.conn.send(tagData, dataMessage(d.queue[i]))
		}
	}
}

// acknowledged forgets the messages that the browser has acknowledged.
func (d *device) acknowledged(a acknowledgment) {
	if a.streamAck {
		d.queue = slices.DeleteFunc(d.queue, func(m queued) bool {
			return m.stream != 0 && m.stream <= a.stream
		})
	}
}

// connection is one MCS connection after login. Chromium drops and remakes it up
// to three times around its start and each subscribe, so the queue belongs to the
// device. Server.mu guards all but the writer's side.
type connection struct {
	net    net.Conn
	sent   uint64 // stream id of the last message sent; Chromium counts alike
	out    chan []byte
	closed bool
}

// outgoing is how many messages may wait for a connection's writer. Beyond that
// the server closes the connection, as the browser does not read.
const outgoing = 4096

// send numbers a message and hands it to the writer, so that no lock is held
// during I/O.
func (c *connection) send(kind tag, body []byte) uint64 {
	c.sent++
	if c.closed {
		return c.sent
	}
	select {
	case c.out <- appendStanza(nil, kind, body):
	default:
		c.close()
	}
	return c.sent
}

func (c *connection) close() {
	if !c.closed {
		c.closed = true
		close(c.out)
		_ = c.net.Close()
	}
}

func (c *connection) write() {
	for b := range c.out {
		if _, err := c.net.Write(b); err != nil {
			// The reader sees the broken connection and cleans up. Drain the
			// channel, so that no sender blocks on it.
			_ = c.net.Close()
		}
	}
}

func (s *Server) deliver(m pushservice.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.deviceOf(m.Device)
	d.queue = append(d.queue, queued{
		id: m.ID, to: s.targets[m.Token], body: m.Body, topic: m.Topic, ttl: m.TTL, sent: m.Received,
	})
	d.flush()
}

func (s *Server) deviceOf(id string) *device {
	d := s.devices[id]
	if d == nil {
		d = &device{}
		s.devices[id] = d
	}
	return d
}

func (s *Server) acceptMCS() {
	for {
		conn, err := s.mcs.Accept()
		if err != nil {
			return
		}
		if !s.track(conn) {
			return
		}
		s.served.Go(func() {
			// An error only ends this connection: the browser reconnects.
			_ = s.serveMCS(conn)
			s.untrack(conn)
		})
	}
}

// track remembers a connection for Close, or closes it if Close was called.
func (s *Server) track(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

func (s *Server) untrack(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// loginTime is how long a browser may take from connecting to its login.
const loginTime = 10 * time.Second

func (s *Server) serveMCS(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(loginTime)); err != nil {
		return fmt.Errorf("limiting the login: %w", err)
	}
	r := bufio.NewReader(conn)
	version, err := r.ReadByte()
	if err != nil {
		return fmt.Errorf("reading the MCS version: %w", err)
	}
	if version != mcsVersion {
		return fmt.Errorf("MCS version %d", version)
	}
	kind, body, err := readStanza(r)
	if err != nil {
		return err
	}
	if kind != tagLoginRequest {
		return fmt.Errorf("MCS message %d before login", kind)
	}
	request, err := parseLogin(body)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("lifting the limit: %w", err)
	}
	c := s.attach(conn, request)
	defer s.detach(request.user, c)
	for {
		kind, body, err := readStanza(r)
		if err != nil {
			return err
		}
		if err := s.handle(request.user, c, kind, body); err != nil {
			return err
		}
	}
}

// attach makes conn the device's connection, answers the login and sends the
// queued messages.
func (s *Server) attach(conn net.Conn, request login) *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.deviceOf(request.user)
	d.disconnect()
	d.queue = slices.DeleteFunc(d.queue, func(m queued) bool { return slices.Contains(request.received, m.id) })
	for i := range d.queue {
		d.queue[i].stream = 0
	}
	c := &connection{net: conn, out: make(chan []byte, outgoing)}
	s.served.Go(c.write)
	c.out <- []byte{mcsVersion}
	c.send(tagLoginResponse, loginResponse(rand.Text(), s.now().UnixMilli()))
	d.conn = c
	d.flush()
	return c
}

func (s *Server) detach(user string, c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.close()
	if d := s.devices[user]; d.conn == c {
		d.conn = nil
	}
}

func (s *Server) handle(user string, c *connection, kind tag, body []byte) error {
	var ack acknowledgment
	var err error
	switch kind {
	case tagHeartbeatPing:
		ack, err = parsePing(body)
	case tagIQ:
		ack, err = parseIQ(body)
	case tagClose:
		return net.ErrClosed
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.devices[user]; d.conn == c {
		d.acknowledged(ack)
	}
	if kind == tagHeartbeatPing {
		c.send(tagHeartbeatAck, heartbeatAck())
	}
	return nil
}
