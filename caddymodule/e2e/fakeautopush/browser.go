package fakeautopush

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/coder/websocket"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/pushservice"
)

// device is one Firefox profile. Server.mu guards it.
type device struct {
	uaid  string
	queue []notification // not acknowledged yet, oldest first
	conn  *connection    // nil while not connected
}

// connection is one WebSocket. Server.mu guards its fields.
type connection struct {
	socket *websocket.Conn
	out    chan any
	closed bool
}

// outgoing is how many messages may wait for a connection's writer. Beyond that
// the server closes the connection, as the browser does not read.
const outgoing = 4096

func (c *connection) send(message any) {
	if c.closed {
		return
	}
	select {
	case c.out <- message:
	default:
		c.close()
	}
}

func (c *connection) close() {
	if !c.closed {
		c.closed = true
		close(c.out)
	}
}

// write sends until the connection is closed on either side.
func (c *connection) write(ctx context.Context) {
	defer c.socket.CloseNow()
	for message := range c.out {
		text, err := json.Marshal(message)
		if err == nil {
			err = c.socket.Write(ctx, websocket.MessageText, text)
		}
		if err != nil {
			return
		}
	}
}

func (d *device) disconnect() {
	if d.conn != nil {
		d.conn.close()
		d.conn = nil
	}
}

// request is any message from Firefox.
type request struct {
	MessageType string `json:"messageType"`
	UAID        string `json:"uaid"`
	ChannelID   string `json:"channelID"`
	Key         string `json:"key"` // applicationServerKey, base64url with padding
	Updates     []struct {
		Version string `json:"version"`
		Code    int    `json:"code"`
	} `json:"updates"` // of an ack
	Version string `json:"version"` // of a nack
	Code    int    `json:"code"`    // of a nack
}

type helloReply struct {
	MessageType string   `json:"messageType"`
	Status      int      `json:"status"`
	UAID        string   `json:"uaid"`
	UseWebPush  bool     `json:"use_webpush"`
	Broadcasts  struct{} `json:"broadcasts"`
}

type registerReply struct {
	MessageType  string `json:"messageType"`
	Status       int    `json:"status"`
	ChannelID    string `json:"channelID"`
	PushEndpoint string `json:"pushEndpoint,omitempty"`
}

type notification struct {
	MessageType string            `json:"messageType"`
	ChannelID   string            `json:"channelID"`
	Version     string            `json:"version"`
	Data        string            `json:"data,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
}

func (s *Server) serveBrowser(w http.ResponseWriter, r *http.Request) {
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{"push-notification"},
		InsecureSkipVerify: true, // Firefox's Origin is the ws: URL itself
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return
	}
	// A hijacked connection's request context lives until this handler returns or
	// the server closes.
	ctx := r.Context()
	c := &connection{socket: socket, out: make(chan any, outgoing)}
	s.served.Go(func() { c.write(ctx) })
	s.read(ctx, c)
}

// read serves a connection until it ends.
func (s *Server) read(ctx context.Context, c *connection) {
	uaid := ""
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.close()
		if d := s.devices[uaid]; d != nil && d.conn == c {
			d.conn = nil
		}
	}()
	for {
		_, text, err := c.socket.Read(ctx)
		if err != nil {
			return
		}
		var q request
		if err := json.Unmarshal(text, &q); err != nil {
			return
		}
		if uaid, err = s.handle(c, uaid, q); err != nil {
			return
		}
	}
}

// handle answers one message and returns the connection's UAID, which hello sets.
func (s *Server) handle(c *connection, uaid string, q request) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.MessageType == "hello" {
		return s.hello(c, q), nil
	}
	d := s.devices[uaid]
	if d == nil || d.conn != c {
		return uaid, fmt.Errorf("message %q on a connection without a device", q.MessageType)
	}
	switch q.MessageType {
	case "": // ping
		c.send(struct{}{})
	case "register":
		c.send(s.register(uaid, q))
	case "unregister":
		s.Expire(s.channels[q.ChannelID])
		c.send(registerReply{MessageType: "unregister", Status: http.StatusOK, ChannelID: q.ChannelID})
	case "ack":
		for _, update := range q.Updates {
			s.acknowledge(d, Ack{MessageID: update.Version, Code: update.Code})
		}
	case "nack":
		s.acknowledge(d, Ack{MessageID: q.Version, Code: q.Code})
	}
	return uaid, nil
}

// hello makes c the device's connection and sends the queued messages. It
// replaces an unknown UAID.
func (s *Server) hello(c *connection, q request) string {
	d := s.devices[q.UAID]
	if d == nil {
		d = &device{uaid: newUAID()}
		s.devices[d.uaid] = d
	}
	d.disconnect()
	d.conn = c
	c.send(helloReply{MessageType: "hello", Status: http.StatusOK, UAID: d.uaid, UseWebPush: true})
	for _, n := range d.queue {
		c.send(n)
	}
	return d.uaid
}

func (s *Server) register(uaid string, q request) registerReply {
	reply := registerReply{MessageType: "register", Status: http.StatusOK, ChannelID: q.ChannelID}
	if len(s.refuse) > 0 {
		reply.Status, s.refuse = s.refuse[0], s.refuse[1:]
		return reply
	}
	token := s.channels[q.ChannelID]
	// Firefox registers twice if a worker subscribes while the handshake ends,
	// and keeps the first answer: the second must not move the channel.
	if r, live := s.Lookup(token); !live || r.Device != uaid {
		token = newToken()
		s.channels[q.ChannelID] = token
		s.Register(pushservice.Registration{Token: token, Key: strings.TrimRight(q.Key, "="), Device: uaid})
	}
	reply.PushEndpoint = "https://" + Host + path + token
	return reply
}

func (s *Server) acknowledge(d *device, ack Ack) {
	d.queue = slices.DeleteFunc(d.queue, func(n notification) bool { return n.Version == ack.MessageID })
	s.acks = append(s.acks, ack)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) deliver(m pushservice.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[m.Device]
	if d == nil {
		return
	}
	n := notification{MessageType: "notification", ChannelID: s.channelOf(m.Token), Version: m.ID}
	if m.Body != nil {
		n.Data = base64.RawURLEncoding.EncodeToString(m.Body)
		n.Headers = map[string]string{"encoding": "aes128gcm"}
	}
	d.queue = append(d.queue, n)
	if d.conn != nil {
		d.conn.send(n)
	}
}

func (s *Server) channelOf(token string) string {
	for channel, t := range s.channels {
		if t == token {
			return channel
		}
	}
	return ""
}

func newUAID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func newToken() string {
	var b [48]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
