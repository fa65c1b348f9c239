//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/bench/stats"
)

// eventSizes are the posts' numbers of events. The SDK posts a few.
var eventSizes = []int{1, 10, 50}

// besideSize is the number of events in posts beside pages.
const besideSize = 10

const (
	posters     = 64 // connections that post at once
	readers     = 8  // connections that request pages
	pagesASec   = 200
	turnsLength = 2 * time.Second
	// profileLength is the length of the profiled turns, after the others.
	profileLength = 12 * time.Second
)

// The kinds of turns while pages are measured.
const (
	quiet      = "no posts"
	quietAgain = "no posts, again"
	// toSite has the same posts to a path of the site, which the proxy passes on: the cost of an equal load
	// without us.
	toSite = "the same posts to the site"
	// notKept has the same posts with Sec-GPC: 1, which are read and answered with 204, but not stored.
	notKept = "posts that are not stored"
	stored  = "events stored"
)

var turnKinds = []string{quiet, quietAgain, toSite, notKept, stored}

// capacity is the result of a full load of posts of one size.
type capacity struct {
	size, posts int
	took, cpu   time.Duration
	latency     []float64 // ns
}

// eventResults is all that was measured of events.
type eventResults struct {
	options    options
	capacities []capacity
	p50, p99   map[string][]float64 // ns to a page's first byte, of each turn
	cpu        map[string][]float64 // CPU seconds of the proxy per second, of each turn
	posted     []float64            // events stored per second, of each stored turn
	latency    []float64            // ns, of posts beside pages
	events     int64                // acknowledged
	profiles   []string
}

// eventBench is such a measurement in progress.
type eventBench struct {
	*eventResults
	server  *server
	page    page
	posts   *pool
	names   map[string]*atomic.Int64 // events acknowledged, by name
	cookies []string
	say     func(format string, args ...any)
}

// measureEvents starts a Caddy with webpush, with a file as store and without a limit on posts, and
//
//   - keeps 64 connections busy with posts of 1, 10 and 50 events by random visitors of 2,000: events
//     acknowledged per second, CPU, latency;
//   - requests pages at a steady pace, in turns with and without 5,000 events a second, in random order: the
//     effect on pages;
//   - asks the operator's API how many events it has counted: exactly those acknowledged.
//
// This process makes the load on the same processors.
func measureEvents(ctx context.Context, o options, progress io.Writer) (*eventResults, error) {
	caddy, remove, err := program(ctx, o, progress)
	if err != nil {
		return nil, err
	}
	defer remove()
	pages, err := loadPages(o.dir, o.sizes)
	if err != nil {
		return nil, err
	}
	f, err := startForEvents(ctx, o, caddy)
	defer f.stop()
	if err != nil {
		return nil, err
	}
	s, begun := f.servers[webpush], time.Now()
	b := &eventBench{
		eventResults: &eventResults{
			options: o, p50: map[string][]float64{}, p99: map[string][]float64{}, cpu: map[string][]float64{},
		},
		server: s, page: pages[min(1, len(pages)-1)], posts: newPool(s.address), names: map[string]*atomic.Int64{},
		say: func(format string, args ...any) {
			fmt.Fprintf(progress, "%4.0f s  %s\n", time.Since(begun).Seconds(), fmt.Sprintf(format, args...))
		},
	}
	defer b.posts.close()
	return b.eventResults, b.measure(ctx)
}

func startForEvents(ctx context.Context, o options, caddy string) (*fleet, error) {
	f, upstream, err := launch(o, nil)
	if err != nil {
		return f, err
	}
	global := "webpush {\n\t\tevent_limit off\n\t}"
	err = tryAgain(ctx, func() error { return f.startCaddy(ctx, o, caddy, webpush, global, "webpush", upstream) })
	if err != nil {
		return f, fmt.Errorf("starting caddy: %w", err)
	}
	return f, f.servers[webpush].waitForStore(ctx)
}

// waitForStore waits until the module has opened its store, which happens while Caddy already serves.
func (s *server) waitForStore(ctx context.Context) error {
	for deadline := time.Now().Add(20 * time.Second); ; {
		resp, err := http.Get("http://" + s.address + "/_webpush/sdk.js")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("waiting for the store: %w", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// visitor asks for pop-ups like a new browser, and returns its cookie.
func (s *server) visitor(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+"/_webpush/messages", strings.NewReader("{}"))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return "", err
	}
	for _, c := range resp.Cookies() {
		return c.Value, nil
	}
	return "", fmt.Errorf("status %d without a cookie", resp.StatusCode)
}

func (b *eventBench) measure(ctx context.Context) error {
	for _, name := range append([]string{stored}, sizeNames()...) {
		b.names[name] = new(atomic.Int64)
	}
	for range b.options.visitors {
		cookie, err := b.server.visitor(ctx)
		if err != nil {
			return fmt.Errorf("getting a visitor's cookie: %w", err)
		}
		b.cookies = append(b.cookies, cookie)
	}
	if err := b.posts.resize(posters); err != nil {
		return err
	}
	until := time.Now().Add(b.options.total)
	for _, size := range eventSizes {
		b.say("posts of %d, as many as it takes", size)
		if err := b.capacity(ctx, size, b.options.total/10); err != nil {
			return err
		}
	}
	// Not earlier: Caddy closes connections that are idle for a minute.
	if err := b.server.pool.resize(readers); err != nil {
		return err
	}
	for round := 1; round == 1 || time.Now().Before(until); round++ {
		b.say("pages beside events: round %d", round)
		for _, i := range mrand.Perm(len(turnKinds)) {
			if err := b.turn(ctx, turnKinds[i]); err != nil {
				return fmt.Errorf("%s: %w", turnKinds[i], err)
			}
		}
	}
	if b.options.profiles != "" {
		for _, kind := range turnKinds[2:] {
			b.say("profiling pages beside %s", kind)
			if err := b.profileTurn(ctx, kind); err != nil {
				return fmt.Errorf("profiling pages beside %s: %w", kind, err)
			}
		}
	}
	return b.verify()
}

func sizeNames() (names []string) {
	for _, size := range eventSizes {
		names = append(names, nameOf(size))
	}
	return names
}

// nameOf returns the name of the events in posts of a size, so that they are counted apart.
func nameOf(size int) string { return fmt.Sprintf("posts of %d", size) }

func random16() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ownPath is where the SDK posts.
const ownPath = "/_webpush/events"

// post returns a post like the SDK's, of a random visitor, to the path.
func (b *eventBench) post(path, name string, size int, header string) []byte {
	var body bytes.Buffer
	now := time.Now().UnixMilli()
	fmt.Fprintf(&body, `{"batch":%q,"session":%q,"sent":%d,"events":[`, random16(), random16(), now)
	for i := range size {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"type":"event","name":%q,"props":{"sku":"A-%d","category":"Books","price":19.9,"quantity":%d},"time":%d}`,
			name, mrand.IntN(10_000), 1+i%3, now-int64(i))
	}
	body.WriteString("]}")
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
		"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nAccept: */*\r\nAccept-Language: en-GB,en;q=0.9\r\n"+
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n"+
		"%sCookie: session=0123456789abcdef0123456789abcdef; __webpush=%s\r\n\r\n%s",
		path, b.server.address, body.Len(), header, b.cookies[mrand.IntN(len(b.cookies))], body.Bytes())
}

// capacity posts on all connections for d.
func (b *eventBench) capacity(ctx context.Context, size int, d time.Duration) error {
	name := nameOf(size)
	profiled := make(chan error, 1)
	if b.options.profiles == "" {
		profiled <- nil
	} else {
		go func() { profiled <- b.profile(fmt.Sprintf("events-%d", size), d) }()
	}
	before, err := cpuTime(b.server.process.PID())
	if err != nil {
		return err
	}
	begun := time.Now()
	t, err := b.posts.pace(ctx, paced{d: d, status: http.StatusNoContent, next: func() []byte { return b.post(ownPath, name, size, "") }})
	took := time.Since(begun)
	b.names[name].Add(int64(t.requests * size))
	if err != nil {
		return err
	}
	after, err := cpuTime(b.server.process.PID())
	b.capacities = append(b.capacities, capacity{size, t.requests, took, after - before, floats(t.first)})
	return errors.Join(err, <-profiled)
}

// profile writes the CPU profile of a load that lasts for d.
func (b *eventBench) profile(name string, d time.Duration) error {
	raw, err := b.server.ask(fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(int(d.Seconds())-1, 1)))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.options.profiles, 0o755); err != nil {
		return fmt.Errorf("making the profiles' folder: %w", err)
	}
	file := filepath.Join(b.options.profiles, name+".cpu")
	b.profiles = append(b.profiles, file)
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		return fmt.Errorf("writing a profile: %w", err)
	}
	return nil
}

// beside is the result of pages and posts at the same time.
type beside struct {
	pages, posts turn
	took, cpu    time.Duration
}

// load requests pages at a steady pace, with or without posts. It adds up what was acknowledged, also after
// other failures.
func (b *eventBench) load(ctx context.Context, kind string, d time.Duration) (r beside, err error) {
	request := navigation(b.server.address, "/"+b.page.name, asIs)
	path, header := ownPath, ""
	switch kind {
	case toSite:
		path = collectPath
	case notKept:
		header = "Sec-GPC: 1\r\n"
	}
	var wg sync.WaitGroup
	var postErr error
	before, err := cpuTime(b.server.process.PID())
	if err != nil {
		return r, err
	}
	begun := time.Now()
	if kind != quiet && kind != quietAgain {
		wg.Go(func() {
			r.posts, postErr = b.posts.pace(ctx, paced{
				d: d, perSecond: float64(b.options.rate) / besideSize, status: http.StatusNoContent,
				next: func() []byte { return b.post(path, stored, besideSize, header) },
			})
		})
	}
	r.pages, err = b.server.pool.pace(ctx, paced{d: d, perSecond: pagesASec, status: http.StatusOK, next: func() []byte { return request }})
	wg.Wait()
	r.took = time.Since(begun)
	if kind == stored {
		b.names[stored].Add(int64(r.posts.requests * besideSize))
	}
	after, cpuErr := cpuTime(b.server.process.PID())
	r.cpu = after - before
	return r, errors.Join(err, postErr, cpuErr)
}

// turn measures pages, with or without posts.
func (b *eventBench) turn(ctx context.Context, kind string) error {
	r, err := b.load(ctx, kind, turnsLength)
	if err != nil {
		return err
	}
	if kind == stored {
		b.posted = append(b.posted, float64(r.posts.requests*besideSize)/r.took.Seconds())
		b.latency = append(b.latency, floats(r.posts.first)...)
	}
	first := floats(r.pages.first)
	b.p50[kind] = append(b.p50[kind], stats.Quantile(first, 0.5))
	b.p99[kind] = append(b.p99[kind], stats.Quantile(first, 0.99))
	b.cpu[kind] = append(b.cpu[kind], r.cpu.Seconds()/r.took.Seconds())
	return nil
}

// profileTurn profiles such a load, outside the measured turns.
func (b *eventBench) profileTurn(ctx context.Context, kind string) error {
	profiled := make(chan error, 1)
	go func() { profiled <- b.profile("pages-beside-"+fileName(kind), profileLength) }()
	_, err := b.load(ctx, kind, profileLength)
	return errors.Join(err, <-profiled)
}

// verify compares the store's counts with what was acknowledged.
func (b *eventBench) verify() error {
	raw, err := b.server.ask("/webpush/sites/" + b.server.address + "/events")
	if err != nil {
		return err
	}
	var list struct {
		Events []struct {
			Name  string `json:"name"`
			Count int64  `json:"count"`
		} `json:"events"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("reading the site's counts: %w", err)
	}
	counted := map[string]int64{}
	for _, e := range list.Events {
		counted[e.Name] = e.Count
	}
	for name, n := range b.names {
		if counted[name] != n.Load() {
			return fmt.Errorf("of %q %d events were acknowledged, but %d are counted", name, n.Load(), counted[name])
		}
		b.events += n.Load()
		delete(counted, name)
	}
	if len(counted) > 0 {
		return fmt.Errorf("events are counted that were not posted: %v", counted)
	}
	return nil
}

func floats(values []time.Duration) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}
