//go:build linux

package main

import (
	"fmt"
	"io"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/bench/stats"
)

// print writes the tables.
func (r *eventResults) print(w io.Writer) {
	fmt.Fprintf(w, "\n%d visitors, %d connections that post, GOMAXPROCS %d. %d events were acknowledged, and the store has counted\n"+
		"just as many.\n", r.options.visitors, posters, r.options.procs, r.events)
	t := newTable(w, "As many posts as it takes", "events per post\tevents/s acknowledged\tposts/s\tCPU per event, µs\tCPU per post, µs\tposts: p50, ms\tp99, ms\t")
	for _, c := range r.capacities {
		events, seconds := float64(c.posts*c.size), c.took.Seconds()
		fmt.Fprintf(t, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t\n", c.size, events/seconds, float64(c.posts)/seconds,
			float64(c.cpu.Microseconds())/events, float64(c.cpu.Microseconds())/float64(c.posts),
			stats.Quantile(c.latency, 0.5)/1e6, stats.Quantile(c.latency, 0.99)/1e6)
	}
	_ = t.Flush()
	t = newTable(w, fmt.Sprintf("%d pages a second, first byte, beside %d events a second in posts of %d; %d turns of %v each: medians of the turns' own, ratios to \"no posts\" of the same round",
		pagesASec, r.options.rate, besideSize, len(r.p99[quiet]), turnsLength),
		"\tp50, ms\tp99, ms\tp50, ratio\tp99, ratio\tp99, to \"the same posts to the site\"\tCPU of the proxy\t")
	for _, kind := range turnKinds {
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t", kind, stats.Quantile(r.p50[kind], 0.5)/1e6, stats.Quantile(r.p99[kind], 0.5)/1e6)
		if kind == quiet {
			fmt.Fprint(t, "1\t1\t")
		} else {
			fmt.Fprintf(t, "%s\t%s\t", interval(stats.MedianOf(stats.Ratios(r.p50[kind], r.p50[quiet])), "%.2f"),
				interval(stats.MedianOf(stats.Ratios(r.p99[kind], r.p99[quiet])), "%.2f"))
		}
		if kind == notKept || kind == stored {
			fmt.Fprintf(t, "%s\t", interval(stats.MedianOf(stats.Ratios(r.p99[kind], r.p99[toSite])), "%.2f"))
		} else {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprintf(t, "%.0f %%\t\n", 100*stats.Quantile(r.cpu[kind], 0.5))
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\nBeside pages %.0f events a second were acknowledged; posts took %.1f ms, p99 %.1f ms.\n",
		stats.Quantile(r.posted, 0.5), stats.Quantile(r.latency, 0.5)/1e6, stats.Quantile(r.latency, 0.99)/1e6)
	for _, p := range r.profiles {
		fmt.Fprintln(w, "profile:", p)
	}
}
