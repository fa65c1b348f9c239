//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The senders' names in the table.
const (
	ours    = "ours"
	control = "ours again"
	byLoop  = "webpush-go v1.4.0"
	byNode  = "web-push 3.6.7"
)

// results is all that was measured.
type results struct {
	options  options
	machine  machine
	imported filling
	fileSize int64

	message outcome
	arrived arrivals
	memory  []sample

	cpu   map[string][]float64 // µs per message, by round
	wire  map[string][]float64 // bytes per message that the push service received
	plain map[string]int       // bytes of payload
	node  string               // its version, or why it is left out
}

// bench is a measurement in progress.
type bench struct {
	*results
	*reporter
	dir  string
	sink *pushService
}

// measure measures everything; all processes have ended when it returns.
func measure(ctx context.Context, o options, progress io.Writer) (_ *results, err error) {
	dir, err := os.MkdirTemp(o.dir, "bench")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &bench{
		results:  &results{options: o, cpu: map[string][]float64{}, wire: map[string][]float64{}, plain: map[string]int{}},
		reporter: newReporter(progress), dir: dir,
	}
	b.machine.begin()
	if b.sink, err = startSink(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.sink.end()) }()
	if err := b.large(ctx); err != nil {
		return nil, err
	}
	if err := b.contest(ctx); err != nil {
		return nil, err
	}
	b.machine.end()
	if o.plot != "" {
		if err := os.WriteFile(o.plot, plot(b.memory), 0o644); err != nil {
			return nil, fmt.Errorf("writing the picture: %w", err)
		}
	}
	return b.results, nil
}

// large imports all subscribers and sends to them.
func (b *bench) large(ctx context.Context) (err error) {
	path := filepath.Join(b.dir, "large.db")
	defer os.Remove(path)
	b.say("importing %s subscriptions", thousands(b.options.n))
	if b.imported, err = b.fill(ctx, path, b.options.n); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("looking at the store: %w", err)
	}
	b.fileSize = info.Size()

	b.say("sending to %s subscribers", thousands(b.options.n))
	b.message, b.arrived, b.memory, err = b.send(ctx, ours, b.options.n, func(t task) (*process, error) {
		t.Store = path
		return startPart(ctx, partMessage, t)
	})
	b.machine.middle()
	return err
}

// filling is the result of an import, with its maximum anonymous memory in bytes until the last row was
// stored, and while the store was closed.
type filling struct {
	outcome
	importing, closing float64
}

// fill imports n subscriptions into a new store.
func (b *bench) fill(ctx context.Context, path string, n int) (f filling, err error) {
	p, err := startPart(ctx, partImport, task{Store: path, N: n})
	if err != nil {
		return f, err
	}
	stop := watchMemory(p.command.Process.Pid)
	written := writeSubscribers(&counted{w: p.in, progress: func(bytes int) {
		b.progress("some %d MB of subscriptions imported", bytes>>20)
	}}, n)
	_ = p.in.Close()
	f.outcome, err = p.outcome(func(int) { // all are stored
		f.importing, _ = peaks(stop())
		stop = watchMemory(p.command.Process.Pid)
	})
	f.closing, _ = peaks(stop())
	if err == nil {
		err = written
	}
	return f, err
}

// counted reports how much has been written.
type counted struct {
	w        io.Writer
	bytes    int
	progress func(bytes int)
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.bytes += n
	c.progress(c.bytes)
	return n, err
}

// send runs a sender for n subscribers, and checks that each of them got one push.
func (b *bench) send(ctx context.Context, name string, n int, launch func(task) (*process, error)) (o outcome, a arrivals, used []sample, err error) {
	if err := ctx.Err(); err != nil {
		return o, a, nil, errors.New("interrupted")
	}
	if err := b.sink.expect(n); err != nil {
		return o, a, nil, err
	}
	p, err := launch(task{N: n, Address: b.sink.Address, Certificate: b.sink.Certificate})
	if err != nil {
		return o, a, nil, err
	}
	stop := watchMemory(p.command.Process.Pid)
	o, err = p.outcome(func(sent int) { b.progress("%s of %s sent", thousands(sent), thousands(n)) })
	used = stop()
	if err != nil {
		return o, a, used, err
	}
	a, err = b.sink.exactlyOnce(name, n)
	return o, a, used, err
}

// contestant is a sender that takes turns.
type contestant struct {
	name  string
	n     int
	start func(task) (*process, error)
}

// contest lets all senders take turns with one store.
func (b *bench) contest(ctx context.Context) error {
	path := filepath.Join(b.dir, "rounds.db")
	b.say("importing %s subscriptions for the rounds", thousands(b.options.turn))
	if _, err := b.fill(ctx, path, b.options.turn); err != nil {
		return err
	}
	part := func(name string) func(task) (*process, error) {
		return func(t task) (*process, error) {
			t.Store = path
			return startPart(ctx, name, t)
		}
	}
	all := []contestant{
		{ours, b.options.turn, part(partMessage)},
		{byLoop, b.options.turnPeer, part(partLoop)},
		{control, b.options.turn, part(partMessage)},
	}
	node, err := b.prepareNode(ctx, path)
	if err != nil {
		return err
	}
	if node != nil {
		all = append(all, contestant{byNode, b.options.turnNode, func(task) (*process, error) { return node.start(ctx) }})
	}
	for round := range b.options.rounds {
		b.say("round %d of %d", round+1, b.options.rounds)
		for _, c := range all {
			if err := b.turn(ctx, c); err != nil {
				return err
			}
		}
		// Other load rises and falls: no sender is always first.
		slices.Reverse(all)
	}
	return nil
}

// prepareNode returns nil if node can't take part.
func (b *bench) prepareNode(ctx context.Context, store string) (*nodeSender, error) {
	dir := filepath.Join(b.dir, "node")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	node, err := prepareNode(ctx, b.options, dir)
	if err != nil {
		b.node = "left out: " + err.Error()
		b.say("node's web-push is %s", b.node)
		return nil, nil
	}
	b.node = node.version
	t := task{Store: store, N: b.options.turnNode, Address: b.sink.Address, Certificate: b.sink.Certificate}
	return node, node.writeTask(ctx, t)
}

func (b *bench) turn(ctx context.Context, c contestant) error {
	o, a, _, err := b.send(ctx, c.name, c.n, c.start)
	if err != nil {
		return err
	}
	b.cpu[c.name] = append(b.cpu[c.name], perMessage(o))
	b.wire[c.name] = append(b.wire[c.name], float64(a.Received)/float64(c.n))
	b.plain[c.name] = o.Payload
	b.progress("%s: %.0f µs", c.name, perMessage(o))
	return nil
}

// perMessage returns the CPU time of one message in µs.
func perMessage(o outcome) float64 {
	return float64(o.CPU) / float64(time.Microsecond) / float64(o.Timed)
}
