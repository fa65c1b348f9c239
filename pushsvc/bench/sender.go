//go:build linux

package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// contact is the VAPID "sub" of all senders.
const contact = "ops@news.example"

// content is the notification that all subscribers get.
func content() pushsvc.Content {
	ttl := 86_400
	return pushsvc.Content{Title: "Hello", Body: "There is news.", URL: "/news", TTL: &ttl}
}

// cpuTime returns this process's user and system time so far.
func cpuTime() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("reading the process's CPU time: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// timed runs do and returns the time and CPU time that it took.
func timed(n int, do func() error) (outcome, error) {
	o := outcome{Done: true, Sent: n, Timed: n}
	before, err := cpuTime()
	if err != nil {
		return o, err
	}
	begun := time.Now()
	o.Begun = begun.UnixNano()
	if err := do(); err != nil {
		return o, err
	}
	o.Wall = time.Since(begun)
	after, err := cpuTime()
	o.CPU = after - before
	return o, err
}

// importRows imports the subscriptions of its input into a new store.
func importRows(ctx context.Context, t task, in io.Reader, answers *json.Encoder) error {
	store, err := boltstore.Open(ctx, t.Store, boltstore.Options{})
	if err != nil {
		return fmt.Errorf("making the store: %w", err)
	}
	o, err := timed(t.N, func() error {
		if _, err := store.EnsureKey(ctx, func() (pushsvc.Key, error) { return service.NewKey(time.Now()) }); err != nil {
			return fmt.Errorf("making the key: %w", err)
		}
		s := &service.Service{Store: store, Services: webpush.DefaultServices(), Clock: time.Now}
		got, err := s.Import(ctx, site, in, service.ImportOptions{Format: transfer.FormatWebPush, Key: "current"})
		if err == nil && got.Added != int64(t.N) {
			err = fmt.Errorf("of %d rows %d were added, %d refused: %v", t.N, got.Added, got.Refused, got.Faults)
		}
		if err == nil {
			err = answers.Encode(outcome{Sent: t.N})
		}
		// This completes the index, so it is part of the work.
		return errors.Join(err, store.Close())
	})
	if err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	return answers.Encode(o)
}

// between is a sender's source and destination.
type between struct {
	store *boltstore.Store
	roots *x509.CertPool
	// dial connects to the push service, for any address.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// sender returns a part that sends.
func sender(send func(ctx context.Context, t task, b between, answers *json.Encoder) error) part {
	return func(ctx context.Context, t task, in io.Reader, answers *json.Encoder) error {
		ctx, cancel := untilEnd(ctx, in)
		defer cancel()
		roots, err := rootsOf(t.Certificate)
		if err != nil {
			return err
		}
		store, err := boltstore.Open(ctx, t.Store, boltstore.Options{})
		if err != nil {
			return fmt.Errorf("opening the store: %w", err)
		}
		defer store.Close()
		dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, t.Address)
		}
		return send(ctx, t, between{store, roots, dial}, answers)
	}
}

// sendMessage is a server's sending half: store, engine, client, and one message to all.
func sendMessage(ctx context.Context, t task, b between, answers *json.Encoder) error {
	client := webpush.NewClient(webpush.Config{RootCAs: b.roots, Dial: b.dial})
	defer client.Close()
	var words strings.Builder
	w := &watcher{ended: make(chan struct{})}
	engine := delivery.New(delivery.Config{
		Store: b.store, Sender: client, Logger: slog.New(slog.NewTextHandler(&words, nil)), Clock: time.Now,
		Owner: "bench", Contact: "mailto:" + contact, Observer: w,
	})
	s := &service.Service{Store: b.store, Engine: engine, Services: webpush.DefaultServices(), Contact: "mailto:" + contact, Clock: time.Now}
	engine.Start()
	o, err := timed(t.N, func() error {
		sent, err := s.Send(ctx, service.SendRequest{Site: site, Content: content()})
		if err == nil {
			err = w.wait(ctx, answers)
		}
		// An early stop also writes the pushes in transit to the store.
		err = errors.Join(err, engine.Stop(context.WithoutCancel(ctx)))
		if err != nil {
			return err
		}
		return balanced(ctx, b.store, sent.Message.ID, t.N)
	})
	if err != nil {
		return fmt.Errorf("sending: %w; log: %s", err, words.String())
	}
	o.Payload = len(payloadFor(1<<20, pushsvc.Message{Site: site, ID: exampleID}))
	return answers.Encode(o)
}

// exampleID has the length of all messages' ids.
const exampleID = "01993a6e-5c1e-7000-8000-000000000000"

// payloadFor returns a plaintext like the engine's.
func payloadFor(id pushsvc.SubscriptionID, m pushsvc.Message) []byte {
	c := content()
	return pushsvc.AppendPayload(nil, m.ID, pushsvc.ReceiptToken(make([]byte, 32), m.Site, m.ID, id), &c)
}

// balanced fails unless the store reports that each push was accepted.
func balanced(ctx context.Context, store store.Store, id string, n int) error {
	m, err := store.Message(ctx, site, id)
	if err != nil {
		return fmt.Errorf("reading the message's row: %w", err)
	}
	p := m.Progress
	if m.State != pushsvc.StateDone || p.Accepted != int64(n) || p.Audience != int64(n) || p.Pending+p.Later != 0 || p.Settled() != int64(n) {
		return fmt.Errorf("of %d recipients, the row has %s and %+v", n, m.State, p)
	}
	return nil
}

// watcher observes the engine's progress.
type watcher struct {
	pushed atomic.Int64
	once   sync.Once
	ended  chan struct{}
}

// Pushed implements delivery.Observer.
func (w *watcher) Pushed(r webpush.Result, _ time.Duration) {
	if r.Class == webpush.ClassAccepted {
		w.pushed.Add(1)
	}
}

// Changed implements delivery.Observer.
func (w *watcher) Changed(m pushsvc.Message) {
	if m.State == pushsvc.StateDone {
		w.once.Do(func() { close(w.ended) })
	}
}

// wait reports progress until the message's end.
func (w *watcher) wait(ctx context.Context, answers *json.Encoder) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-w.ended:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("waiting for the message's end: %w", ctx.Err())
		case <-ticker.C:
			if err := answers.Encode(outcome{Sent: int(w.pushed.Load())}); err != nil {
				return fmt.Errorf("reporting progress: %w", err)
			}
		}
	}
}
