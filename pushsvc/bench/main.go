//go:build linux

// Command bench sends a message to a million subscribers, on loopback, and compares the cost of a message
// with webpush-go's loop and with node's web-push.
//
//	go run ./pushsvc/bench
//
// It imports generated subscriptions into a new store, sends one message to all of them through the engine,
// the client and the store of a real server, and then lets all senders take turns, round by round. Each
// sender is a process of its own, and so is the push service (TLS, HTTP/2), which counts what arrives: each
// subscriber must get every message exactly once. CPU time is the sender's. Everything is on loopback and in
// a temporary folder, and ends with the command. node is left out, with a note, if it, npm or the package is
// missing. Needs Linux (/proc).
//
// The exit status is 1 if a message was lost or repeated, or a sum is wrong, 2 if something could not be
// measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// options are the command line's.
type options struct {
	n         int    // of the large message
	rounds    int    // in which all senders take turns
	turn      int    // our messages in one round
	turnPeer  int    // webpush-go's
	turnNode  int    // web-push's
	node, npm string // programs; empty for none
	plot      string // a file for the picture of the memory
	dir       string // for the stores; by default the system's temporary folder
}

func parseOptions(args []string, out io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.IntVar(&o.n, "n", 1_000_000, "subscribers of the large message")
	fs.IntVar(&o.rounds, "rounds", 6, "how often all senders take turns")
	fs.IntVar(&o.turn, "ours", 50_000, "our messages in one round, twice: the second time is the control")
	fs.IntVar(&o.turnPeer, "webpush-go", 10_000, "webpush-go's messages in one round")
	fs.IntVar(&o.turnNode, "web-push", 2000, "node web-push's messages in one round")
	fs.StringVar(&o.node, "node", "node", "the node `program`, empty for none")
	fs.StringVar(&o.npm, "npm", "npm", "the npm `program`, which fetches web-push")
	fs.StringVar(&o.plot, "plot", "", "write the message's memory over time to this SVG `file`")
	fs.StringVar(&o.dir, "dir", "", "a `folder` for the stores, some 450 bytes a subscriber; by default the system's temporary folder")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("%q is not understood: only flags are allowed", fs.Arg(0))
	}
	if o.n < 1 || o.rounds < 1 || o.turn < 1 || o.turnPeer < 1 || o.turnNode < 1 {
		return o, errors.New("all numbers must be positive")
	}
	if o.turnPeer > o.turn || o.turnNode > o.turn {
		return o, errors.New("-webpush-go and -web-push can't be more than -ours: all send to the same subscribers")
	}
	return o, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with explicit surroundings. It returns the exit status, so that deferred functions end the
// processes first.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		if part, is := parts[args[0]]; is {
			if err := runPart(ctx, part, args[1:], stdin, stdout); err != nil {
				fmt.Fprintf(stderr, "bench %s: %v\n", args[0], err)
				return 2
			}
			return 0
		}
	}
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	results, err := measure(ctx, o, stderr)
	var wrong *countError
	if errors.As(err, &wrong) {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	results.print(stdout)
	return 0
}
