//go:build linux

package main

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"time"

	"github.com/klauspost/compress/zstd"
)

// comparison is a set-up, the one that it is compared with, and a second process of that one.
type comparison struct {
	coding        string
	base, subject string
	hasMetrics    bool
}

func (c comparison) members() []string { return []string{c.base, c.base + controlSuffix, c.subject} }

func comparisons(withNginx bool) []comparison {
	all := []comparison{
		{asIs, plain, webpush, true},
		{gzipped, encode, encodeWebpush, true},
		{zstdized, encode, encodeWebpush, true},
	}
	if withNginx {
		all = append(all, comparison{asIs, nginxPlain, nginxSub, false})
	}
	return all
}

// cell is the process of one row.
type cell struct{ page, coding, server string }

// series has one value per round, or per epoch.
type series map[cell][]float64

// results is all that was measured.
type results struct {
	options     options
	comparisons []comparison
	pages       []page
	crowdPage   page // the page that many connections request at once, and that is streamed
	rounds      int
	cpu         series // ns per request, by round
	first       series // ns to the first byte at one connection, all requests
	streamed    series // the same, of streamed pages
	allocated   series // objects per request
	idle, busy  series // bytes of memory, by epoch
	busyAnon    series
	profiles    []string
}

// bench is a measurement in progress.
type bench struct {
	*results
	fleet       *fleet
	connections map[cell]int // by page, coding and base
	rand        *rand.Rand
	progress    io.Writer
	started     time.Time
}

// measure runs all epochs. All processes have ended when it returns.
func measure(ctx context.Context, o options, progress io.Writer) (_ *results, err error) {
	if _, missing := exec.LookPath(o.nginx); missing != nil && o.nginx != "" {
		fmt.Fprintf(progress, "no nginx here (%s): skipped; Debian has it in nginx-light\n", o.nginx)
		o.nginx = ""
	}
	pages, err := loadPages(o.dir, o.sizes)
	if err != nil {
		return nil, err
	}
	caddy, remove, err := program(ctx, o, progress)
	if err != nil {
		return nil, err
	}
	defer remove()
	b := &bench{
		results: &results{
			options: o, comparisons: comparisons(o.nginx != ""), pages: pages, crowdPage: pages[min(1, len(pages)-1)],
			cpu: series{}, first: series{}, streamed: series{}, allocated: series{}, idle: series{}, busy: series{}, busyAnon: series{},
		},
		connections: map[cell]int{}, rand: rand.New(rand.NewPCG(1, 2)), progress: progress, started: time.Now(),
	}
	if err := b.count(ctx, caddy); err != nil {
		return nil, err
	}
	for epoch := range o.epochs {
		if err := b.epoch(ctx, epoch, caddy); err != nil {
			return nil, err
		}
	}
	return b.results, nil
}

// epoch measures with new processes: where a process's memory happens to lie makes up to several per cent,
// which only another process shows.
func (b *bench) epoch(ctx context.Context, epoch int, caddy string) error {
	until := b.started.Add(b.options.total * time.Duration(epoch+1) / time.Duration(b.options.epochs))
	b.say("epoch %d of %d: starting", epoch+1, b.options.epochs)
	f, err := start(ctx, b.options, caddy, nil)
	defer f.stop()
	if err != nil {
		return err
	}
	b.fleet = f
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"checking the answers", b.verify},
		{fmt.Sprintf("memory at %d connections", b.options.crowd), b.measureMemory},
		{"first byte of streamed pages", b.measureStreams},
	} {
		b.say("epoch %d of %d: %s", epoch+1, b.options.epochs, step.name)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	for first := true; first || time.Now().Before(until); first = false {
		if err := b.round(ctx); err != nil {
			return err
		}
		b.say("epoch %d of %d: round %d", epoch+1, b.options.epochs, b.rounds)
	}
	if b.options.profiles != "" && epoch+1 == b.options.epochs {
		return b.profile(ctx)
	}
	return nil
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%4.0f s  %s\n", time.Since(b.started).Seconds(), fmt.Sprintf(format, args...))
}

// action is what is done with one server and page of a comparison.
type action func(c comparison, p page, s *server) error

// each takes every page and comparison, in random order, and runs each action with all of its members, also
// in random order.
func (b *bench) each(ctx context.Context, pages []page, actions ...action) error {
	for _, i := range b.rand.Perm(len(pages)) {
		for _, k := range b.rand.Perm(len(b.comparisons)) {
			for _, do := range actions {
				if err := b.members(ctx, b.comparisons[k], pages[i], do); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *bench) members(ctx context.Context, c comparison, p page, do action) error {
	members := c.members()
	for _, m := range b.rand.Perm(len(members)) {
		if err := ctx.Err(); err != nil {
			return errors.New("interrupted")
		}
		if err := do(c, p, b.fleet.servers[members[m]]); err != nil {
			return fmt.Errorf("%s, %s, %s: %w", members[m], c.coding, p.name, err)
		}
	}
	return nil
}

// verify checks each server's pages, so that the right thing is measured, and chooses the numbers of
// connections.
func (b *bench) verify(ctx context.Context) error {
	return b.each(ctx, b.pages, func(c comparison, p page, s *server) error {
		var fastest time.Duration
		for range 5 {
			if err := s.pool.resize(1); err != nil {
				return err
			}
			var out bytes.Buffer
			begun := time.Now()
			a, err := s.pool.open[0].get(navigation(s.address, "/"+p.name, c.coding), &out)
			if err != nil {
				return err
			}
			if took := time.Since(begun); fastest == 0 || took < fastest {
				fastest = took
			}
			if err := check(c, p, s.injects, a.header.Get("Content-Encoding"), &out); err != nil {
				return err
			}
		}
		if s.name == c.base {
			// As many as finish within the turn.
			n := int(b.options.slice / fastest)
			b.connections[cell{p.name, c.coding, c.base}] = max(min(n, b.options.connections), min(4, b.options.connections))
		}
		return nil
	})
}

// check returns what is wrong with an answer.
func check(c comparison, p page, injects bool, coding string, body io.Reader) error {
	want := map[string]string{asIs: "", gzipped: "gzip", zstdized: "zstd"}[c.coding]
	if coding != want {
		return fmt.Errorf("the answer's Content-Encoding is %q, not %q", coding, want)
	}
	switch coding {
	case "gzip":
		r, err := stdgzip.NewReader(body)
		if err != nil {
			return fmt.Errorf("decoding: %w", err)
		}
		body = r
	case "zstd":
		r, err := zstd.NewReader(body)
		if err != nil {
			return fmt.Errorf("decoding: %w", err)
		}
		defer r.Close()
		body = r
	}
	got, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("decoding: %w", err)
	}
	switch {
	case !injects && !bytes.Equal(got, p.body):
		return errors.New("the page is not the upstream's")
	case injects && bytes.Count(got, []byte(marker)) != 1+bytes.Count(p.body, []byte(marker)):
		return errors.New("the page does not have the script once")
	case injects && len(got) < len(p.body)+len(marker):
		return errors.New("the page is too short")
	}
	return nil
}

// passes is the number of parts of a turn: the machine's other load changes within a round as well.
const passes = 4

// round measures every process once with every page.
func (b *bench) round(ctx context.Context) error {
	b.rounds++
	spent, requests := map[cell]time.Duration{}, map[cell]int{}
	take := func(c comparison, p page, s *server) error {
		request := navigation(s.address, "/"+p.name, c.coding)
		before, err := cpuTime(s.process.PID())
		if err != nil {
			return err
		}
		t, err := s.pool.load(request, b.connections[cell{p.name, c.coding, c.base}], b.options.slice/passes, 0)
		if err != nil {
			return err
		}
		after, err := cpuTime(s.process.PID())
		if err != nil {
			return err
		}
		at := cell{p.name, c.coding, s.name}
		spent[at] += after - before
		requests[at] += t.requests
		return nil
	}
	latency := func(c comparison, p page, s *server) error {
		t, err := s.pool.load(navigation(s.address, "/"+p.name, c.coding), 1, b.options.slice/passes, 0)
		b.first.add(cell{p.name, c.coding, s.name}, t.first)
		return err
	}
	if err := b.each(ctx, b.pages, take, take, take, take, latency); err != nil {
		return err
	}
	for at := range spent {
		b.cpu[at] = append(b.cpu[at], float64(spent[at])/float64(requests[at]))
	}
	return nil
}

func (s series) add(at cell, values []time.Duration) {
	for _, v := range values {
		s[at] = append(s[at], float64(v))
	}
}

// measureMemory loads new processes with many connections, and reads their memory with the connections still
// open.
func (b *bench) measureMemory(ctx context.Context) error {
	const requestsEach = 20
	return b.each(ctx, []page{b.crowdPage}, func(c comparison, p page, s *server) error {
		if c.coding == gzipped {
			return nil // zstd uses the same processes
		}
		at := cell{p.name, c.coding, s.name}
		before, err := memoryOf(s.process.PID())
		if err != nil {
			return err
		}
		if _, err := s.pool.load(navigation(s.address, "/"+p.name, c.coding), b.options.crowd, 0, requestsEach); err != nil {
			return err
		}
		after, err := memoryOf(s.process.PID())
		if err != nil {
			return err
		}
		b.idle[at] = append(b.idle[at], before.total)
		b.busy[at] = append(b.busy[at], after.total)
		b.busyAnon[at] = append(b.busyAnon[at], after.anonymous)
		return s.pool.resize(b.options.connections)
	})
}

// measureStreams measures the first byte of a page whose second half comes later.
func (b *bench) measureStreams(ctx context.Context) error {
	const connections, requestsEach = 2, 10
	return b.each(ctx, []page{b.crowdPage}, func(c comparison, p page, s *server) error {
		t, err := s.pool.load(navigation(s.address, "/stream/"+p.name, c.coding), connections, 0, requestsEach)
		b.streamed.add(cell{p.name, c.coding, s.name}, t.first)
		return err
	})
}

// count counts allocations, with new processes without garbage collection: the collector empties pools, and
// refilling them would be counted by chance.
func (b *bench) count(ctx context.Context, caddy string) error {
	b.say("allocations: starting")
	f, err := start(ctx, b.options, caddy, []string{"GOGC=off", "GOMEMLIMIT=1GiB"})
	defer f.stop()
	if err != nil {
		return err
	}
	b.fleet = f
	if err := b.verify(ctx); err != nil {
		return err
	}
	b.say("allocations: counting")
	return b.each(ctx, b.pages, b.countOne)
}

// countOne counts over some hundred requests, without the objects of the counting itself.
func (b *bench) countOne(c comparison, p page, s *server) error {
	if !c.hasMetrics {
		return nil
	}
	connections, requestsEach := 8, 40
	if b.connections[cell{p.name, c.coding, c.base}] < 8 {
		connections, requestsEach = 2, 30 // slow ones
	}
	load := func() (turn, error) {
		return s.pool.load(navigation(s.address, "/"+p.name, c.coding), connections, 0, requestsEach)
	}
	if _, err := load(); err != nil { // fills pools
		return err
	}
	var counts [4]float64
	var t turn
	for i := range counts {
		var err error
		if counts[i], err = s.mallocs(); err != nil {
			return err
		}
		if i == 2 {
			if t, err = load(); err != nil {
				return err
			}
		}
	}
	counting := counts[2] - counts[1]
	at := cell{p.name, c.coding, s.name}
	b.allocated[at] = append(b.allocated[at], (counts[3]-counts[2]-counting)/float64(t.requests))
	return nil
}
