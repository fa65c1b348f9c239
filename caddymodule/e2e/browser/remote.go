package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/coder/websocket"
)

// remote is a connection to a browser's remote control. The DevTools protocol
// and WebDriver BiDi frame commands, answers and events nearly alike.
type remote struct {
	socket *websocket.Conn
	done   chan struct{} // closed when the connection has ended

	mu        sync.Mutex
	last      int64
	waiting   map[int64]chan message
	listeners map[int]func(message)
	nextID    int
	err       error // why the connection ended
}

// message is any message from the browser.
type message struct {
	ID        int64           `json:"id"` // of an answer; 0 for an event
	Result    json.RawMessage `json:"result"`
	Error     json.RawMessage `json:"error"`   // DevTools: object; BiDi: string
	Text      string          `json:"message"` // BiDi: what the error is about
	Method    string          `json:"method"`
	Params    json.RawMessage `json:"params"`
	SessionID string          `json:"sessionId"` // DevTools only
}

// command is a message to the browser.
type command struct {
	ID        int64  `json:"id"`
	Method    string `json:"method"`
	Params    any    `json:"params"`
	SessionID string `json:"sessionId,omitempty"` // DevTools only
}

func dialRemote(ctx context.Context, url string) (*remote, error) {
	socket, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return nil, fmt.Errorf("connecting to the browser: %w", err)
	}
	socket.SetReadLimit(-1) // screenshots
	r := &remote{
		socket: socket, done: make(chan struct{}),
		waiting: make(map[int64]chan message), listeners: make(map[int]func(message)),
	}
	go r.read()
	return r, nil
}

func (r *remote) read() {
	defer close(r.done)
	for {
		// The connection lives as long as the browser; close ends the read.
		_, text, err := r.socket.Read(context.Background())
		var m message
		if err == nil {
			err = json.Unmarshal(text, &m)
		}
		if err != nil {
			r.mu.Lock()
			r.err = err
			r.mu.Unlock()
			return
		}
		r.dispatch(m)
	}
}

func (r *remote) dispatch(m message) {
	r.mu.Lock()
	if m.ID != 0 {
		answer := r.waiting[m.ID]
		delete(r.waiting, m.ID)
		r.mu.Unlock()
		if answer != nil {
			answer <- m // has room
		}
		return
	}
	listeners := make([]func(message), 0, len(r.listeners))
	for _, listener := range r.listeners {
		listeners = append(listeners, listener)
	}
	r.mu.Unlock()
	for _, listener := range listeners {
		listener(m)
	}
}

// listen calls f for each event, in order, until the returned function is
// called. f must neither block nor call the browser.
func (r *remote) listen(f func(message)) (stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nextID++
	id := r.nextID
	r.listeners[id] = f
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.listeners, id)
	}
}

// call sends a command and decodes its answer into result, which may be nil.
func (r *remote) call(ctx context.Context, session, method string, params, result any) error {
	if params == nil {
		params = struct{}{}
	}
	answer := make(chan message, 1)
	r.mu.Lock()
	r.last++
	id := r.last
	r.waiting[id] = answer
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.waiting, id)
		r.mu.Unlock()
	}()
	text, err := json.Marshal(command{ID: id, Method: method, Params: params, SessionID: session})
	if err != nil {
		return fmt.Errorf("%s: encoding: %w", method, err)
	}
	// Not with ctx: a write that is cut off would end the whole connection.
	if err := r.socket.Write(context.WithoutCancel(ctx), websocket.MessageText, text); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m := <-answer:
		return m.decode(method, result)
	case <-r.done:
		r.mu.Lock()
		defer r.mu.Unlock()
		return fmt.Errorf("%s: the browser has gone: %w", method, r.err)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

func (m message) decode(method string, result any) error {
	if len(m.Error) > 0 {
		if m.Text != "" {
			return fmt.Errorf("%s: %s: %s", method, m.Error, m.Text)
		}
		return fmt.Errorf("%s: %s", method, m.Error)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(m.Result, result); err != nil {
		return fmt.Errorf("%s: decoding the answer: %w", method, err)
	}
	return nil
}

func (r *remote) close() {
	_ = r.socket.CloseNow()
	<-r.done
}

// evaluation is the result of an expression as script returns it.
type evaluation struct {
	Value *json.RawMessage `json:"value"`
	Error string           `json:"error"`
}

// script wraps an expression so that both protocols return the same JSON text:
// {"value": ...} or {"error": "Name: message"}.
func script(expression string) string {
	return `(async () => {
	try {
		return JSON.stringify({value: await (` + expression + `
		)});
	} catch (e) {
		return JSON.stringify({error: e && e.stack && e.message ? e.name + ": " + e.message : String(e)});
	}
})()`
}

func decodeScript(text string, result any) error {
	var e evaluation
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return fmt.Errorf("decoding the value: %w", err)
	}
	if e.Error != "" {
		return errors.New(e.Error)
	}
	value := []byte("null")
	if e.Value != nil {
		value = *e.Value
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(value, result); err != nil {
		return fmt.Errorf("decoding the value %.200s: %w", value, err)
	}
	return nil
}
