//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	peer "github.com/SherClockHolmes/webpush-go"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
)

const (
	// loopWorkers is the number of sending goroutines, and of node's concurrent requests.
	loopWorkers = 100
	// loopConns bounds webpush-go's connections like our client's; without it, net/http opens dozens.
	loopConns = 8
	// loopPage is how many subscriptions are read at once.
	loopPage = 256
)

// peerSubscription is a subscription in the form of the other libraries.
type peerSubscription struct {
	Endpoint string    `json:"endpoint"`
	Keys     peer.Keys `json:"keys"`
}

func asPeers(s *pushsvc.Subscription) peerSubscription {
	b64 := base64.RawURLEncoding.EncodeToString
	return peerSubscription{s.Endpoint, peer.Keys{P256dh: b64(s.P256DH[:]), Auth: b64(s.Auth[:])}}
}

// readSubscribers passes the first n subscribers of the store to take.
func readSubscribers(ctx context.Context, store store.Store, n int, take func(*pushsvc.Subscription) error) error {
	var after pushsvc.SubscriptionID
	for n > 0 {
		page, err := store.SubscriptionPage(ctx, site, after, min(n, loopPage))
		if err != nil {
			return fmt.Errorf("reading subscribers: %w", err)
		}
		if len(page) == 0 {
			return fmt.Errorf("%d subscribers are missing", n)
		}
		for i := range page {
			if err := take(&page[i]); err != nil {
				return err
			}
		}
		n -= len(page)
		after = page[len(page)-1].ID
	}
	return nil
}

// loop is the usual loop around webpush-go: goroutines that take subscriptions from a channel.
type loop struct {
	options peer.Options
	payload []byte
	queue   chan *peer.Subscription
	once    sync.Once
	problem error
}

// sendByLoop sends to the first subscribers of a store.
func sendByLoop(ctx context.Context, t task, b between, answers *json.Encoder) error {
	key, err := currentKey(ctx, b.store)
	if err != nil {
		return err
	}
	transport := &http.Transport{
		ForceAttemptHTTP2: true, DisableCompression: true, MaxConnsPerHost: loopConns,
		TLSClientConfig: &tls.Config{RootCAs: b.roots, MinVersion: tls.VersionTLS12},
		DialContext:     b.dial,
	}
	defer transport.CloseIdleConnections()
	c := content()
	l := &loop{
		queue: make(chan *peer.Subscription, loopPage),
		options: peer.Options{
			HTTPClient: &http.Client{Transport: transport, Timeout: 10 * time.Second},
			Subscriber: contact, TTL: c.TTLSeconds(), VAPIDPublicKey: key.Public, VAPIDPrivateKey: key.Private.Reveal(),
		},
		payload: payloadFor(1<<20, pushsvc.Message{Site: site, ID: exampleID}),
	}
	o, err := timed(t.N, func() error { return l.run(ctx, b.store, t.N) })
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	o.Payload = len(l.payload)
	return answers.Encode(o)
}

func currentKey(ctx context.Context, store store.Store) (pushsvc.Key, error) {
	keys, err := store.Keys(ctx)
	if err != nil {
		return pushsvc.Key{}, fmt.Errorf("reading the key: %w", err)
	}
	if len(keys) == 0 {
		return pushsvc.Key{}, errors.New("the store has no key")
	}
	return keys[0], nil
}

func (l *loop) run(ctx context.Context, store store.Store, n int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var workers sync.WaitGroup
	for range loopWorkers {
		workers.Go(func() {
			for s := range l.queue {
				if err := l.send(ctx, s); err != nil {
					l.once.Do(func() { l.problem = err })
					cancel()
				}
			}
		})
	}
	err := readSubscribers(ctx, store, n, func(s *pushsvc.Subscription) error {
		to := asPeers(s)
		select {
		case l.queue <- &peer.Subscription{Endpoint: to.Endpoint, Keys: to.Keys}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	close(l.queue)
	workers.Wait()
	return errors.Join(err, l.problem)
}

func (l *loop) send(ctx context.Context, s *peer.Subscription) error {
	options := l.options
	// It appends to the payload, which all share.
	response, err := peer.SendNotificationWithContext(ctx, l.payload[:len(l.payload):len(l.payload)], s, &options)
	if err != nil {
		return fmt.Errorf("webpush-go: %w", err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("the answer is %s", response.Status)
	}
	return nil
}
