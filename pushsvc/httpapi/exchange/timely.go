package exchange

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// maxCalls is how many calls may be under way at a time, abandoned ones included.
const maxCalls = 4096

// Calls counts the calls under way.
type Calls struct{ n atomic.Int64 }

// Handler answers a request, or returns why it did not.
type Handler func(w http.ResponseWriter, r *http.Request) error

// begin lets one more call begin, unless maxCalls are under way.
func (c *Calls) begin() bool {
	if c.n.Add(1) > maxCalls {
		c.n.Add(-1)
		return false
	}
	return true
}

// Timely calls fn and returns its result, or context.DeadlineExceeded at the context's deadline,
// even if fn does not return: it may wait for a disk or a lock. A panic of fn becomes the caller's.
// An abandoned call may do no harm later: every write can be repeated.
func Timely[T any](ctx context.Context, c *Calls, fn func(context.Context) (T, error)) (T, error) {
	type outcome struct {
		value    T
		err      error
		panicked any
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if !c.begin() {
		return none, pushsvc.ErrBusy
	}
	ended := make(chan outcome, 1)
	go func() {
		defer c.n.Add(-1)
		var out outcome
		defer func() {
			if r := recover(); r != nil {
				out.panicked = r
			}
			ended <- out
		}()
		out.value, out.err = fn(ctx)
	}()
	var late <-chan time.Time
	if deadline, ok := ctx.Deadline(); ok {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case out := <-ended:
		if out.panicked != nil {
			panic(out.panicked)
		}
		return out.value, out.err
	case <-late:
		return none, context.DeadlineExceeded
	}
}

// isWaiting reports whether the error means that the store takes too long. The service logs that
// once, not with each request.
func isWaiting(err error) bool {
	return errors.Is(err, pushsvc.ErrStalled) || errors.Is(err, pushsvc.ErrBusy) || errors.Is(err, context.DeadlineExceeded)
}

// heldAnswer holds back a handler's answer until the handler has ended.
type heldAnswer struct {
	mu     sync.Mutex
	w      http.ResponseWriter
	over   bool // no caller waits for it any more
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *heldAnswer) Header() http.Header { return a.header }

func (a *heldAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *heldAnswer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// SetReadDeadline is for http.ResponseController.
func (a *heldAnswer) SetReadDeadline(at time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return http.ErrHandlerTimeout
	}
	return http.NewResponseController(a.w).SetReadDeadline(at)
}

// send writes the answer to the client.
func (a *heldAnswer) send() {
	maps.Copy(a.w.Header(), a.header)
	if a.status != 0 {
		a.w.WriteHeader(a.status)
	}
	_, _ = a.body.WriteTo(a.w)
}

// abandon cuts the handler off from the client's connection.
func (a *heldAnswer) abandon() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
}

// InTime runs h and answers within limit; else it returns context.DeadlineExceeded, with nothing
// answered.
func InTime(w http.ResponseWriter, r *http.Request, c *Calls, limit time.Duration, h Handler) error {
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	held := &heldAnswer{w: w, header: http.Header{}}
	_, err := Timely(ctx, c, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, h(held, r.WithContext(ctx))
	})
	if err == nil {
		held.send()
		return nil
	}
	held.abandon()
	if !errors.Is(err, context.DeadlineExceeded) { // the handler has ended: its answer counts
		maps.Copy(w.Header(), held.header)
	}
	return err
}
