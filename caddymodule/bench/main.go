//go:build linux

// Command bench measures what the module costs a Caddy that proxies pages: CPU time, allocations and memory
// of the proxy, and the time to the first byte.
//
//	go run ./caddymodule/bench
//
// It builds caddymodule/cmd/caddy and runs one process of it for each set-up (plain reverse_proxy twice, with
// webpush, with encode twice, with encode and webpush), nginx with and without sub_filter if it is installed,
// and an upstream. All are on loopback and end with the command. Set-ups take turns in short slices, in
// random order, over many rounds: every slice is only compared with those of the same round. The second plain
// process is the control: it shows the noise. Needs Linux (CPU clocks of other processes, /proc).
//
//	go run ./caddymodule/bench -events
//
// measures event collection instead: see measureEvents.
//
// The exit status is 1 if a budget was missed beyond doubt, 2 if nothing could be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// upstreamArgument as the first argument makes this program the upstream.
const upstreamArgument = "serve-pages"

// options are the command line's.
type options struct {
	total       time.Duration // for all epochs together, builds not counted
	epochs      int           // how often all processes are restarted
	slice       time.Duration // one set-up's turn
	sizes       []int         // of the generated pages, bytes
	dir         string        // real pages, instead of generated ones
	connections int           // maximum while CPU is measured
	crowd       int           // connections while memory is measured
	procs       int           // GOMAXPROCS of every Go process
	caddy       string        // a program built before
	nginx       string        // its name or path; empty for none
	profiles    string        // a folder for profiles
	events      bool          // measure event collection instead
	rate        int           // events per second beside pages
	visitors    int           // who post the events
}

func parseOptions(args []string, out io.Writer) (options, error) {
	var o options
	var sizes string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.DurationVar(&o.total, "for", 5*time.Minute, "how long to measure")
	fs.IntVar(&o.epochs, "epochs", 3, "how often to restart all processes")
	fs.DurationVar(&o.slice, "slice", 120*time.Millisecond, "how long one process is loaded before the next one's turn")
	fs.StringVar(&sizes, "sizes", "2000,30000,200000,2000000", "sizes of the generated pages, bytes")
	fs.StringVar(&o.dir, "pages", "", "measure with the `folder`'s *.html instead of generated pages")
	fs.IntVar(&o.connections, "connections", 32, "maximum connections; with more than 32, reverse_proxy constantly reconnects to its upstream")
	fs.IntVar(&o.crowd, "crowd", 256, "connections while memory is measured")
	fs.IntVar(&o.procs, "procs", runtime.NumCPU(), "GOMAXPROCS of every process")
	fs.StringVar(&o.caddy, "caddy", "", "a `program` to measure instead of building caddymodule/cmd/caddy")
	fs.StringVar(&o.nginx, "nginx", "nginx", "the nginx `program`, empty for none")
	fs.StringVar(&o.profiles, "profile", "", "also write CPU and allocation profiles into the `folder`")
	fs.BoolVar(&o.events, "events", false, "measure the cost of collecting visitors' events instead, and its effect on pages")
	fs.IntVar(&o.rate, "rate", 5000, "with -events: events per second beside pages")
	fs.IntVar(&o.visitors, "visitors", 2000, "with -events: visitors that post them")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	for s := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1000 || n > 64<<20 {
			return o, fmt.Errorf("-sizes: %q is not a number of bytes from 1000 to 64 Mi", s)
		}
		o.sizes = append(o.sizes, n)
	}
	if o.epochs < 1 || o.connections < 1 || o.crowd < 1 || o.procs < 1 || o.rate < 1 || o.visitors < 1 || o.slice < time.Millisecond {
		return o, errors.New("all numbers must be positive")
	}
	return o, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with explicit surroundings. It returns the exit status, so that deferred functions end the
// processes first.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == upstreamArgument {
		if err := serveUpstream(ctx, args[1:], stdout); err != nil {
			fmt.Fprintln(stderr, "upstream:", err)
			return 2
		}
		return 0
	}
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	if o.events {
		r, err := measureEvents(ctx, o, stderr)
		if err != nil {
			fmt.Fprintln(stderr, "bench:", err)
			return 2
		}
		r.print(stdout)
		return 0
	}
	results, err := measure(ctx, o, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	if missed := results.print(stdout); missed {
		return 1
	}
	return 0
}
