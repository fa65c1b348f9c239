//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/bench/stats"
)

// The budgets of the design; others have none.
const (
	budgetEncode      = 1.05 // of encode alone
	budgetAllocations = 3    // more per request
	budgetMemory      = 2 << 20
)

// cpuBudget returns the budget of the CPU ratio; 0 means none. Those of plain reverse_proxy are for about 30
// kB and 200 kB.
func cpuBudget(c comparison, size int) float64 {
	switch {
	case c.subject == encodeWebpush:
		return budgetEncode
	case c.subject == webpush && size >= 25_000 && size <= 40_000:
		return 1.10
	case c.subject == webpush && size >= 150_000 && size <= 300_000:
		return 1.15
	}
	return 0
}

// table is a table of the report.
type table struct {
	*tabwriter.Writer
	missed bool
}

func newTable(w io.Writer, title string, columns string) *table {
	fmt.Fprintf(w, "\n%s\n\n", title)
	t := &table{Writer: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	fmt.Fprintln(t, columns)
	return t
}

func (t *table) judged(v verdict) verdict {
	t.missed = t.missed || v == miss
	return v
}

// print writes the tables and reports whether a budget was missed.
func (r *results) print(w io.Writer) (missed bool) {
	fmt.Fprintf(w, "\n%d rounds in %d epochs, turns of %v, up to %d connections, GOMAXPROCS %d. Ratios are of each round's own values:\n"+
		"median [95 %% interval]. \"control\" is a second process of the same set-up against the first.\n",
		r.rounds, r.options.epochs, r.options.slice, r.options.connections, r.options.procs)
	for _, print := range []func(io.Writer) bool{r.printCPU, r.printAllocations, r.printMemory} {
		missed = print(w) || missed
	}
	r.printFirst(w, "First byte at one connection, µs", r.first)
	r.printFirst(w, fmt.Sprintf("First byte of pages streamed in two parts %v apart, µs", streamPause), r.streamed)
	for _, p := range r.profiles {
		fmt.Fprintln(w, "profile:", p)
	}
	return missed
}

// rows calls do for each line of a table.
func (r *results) rows(do func(c comparison, p page, base, again, subject cell)) {
	for _, c := range r.comparisons {
		for _, p := range r.pages {
			do(c, p, cell{p.name, c.coding, c.base}, cell{p.name, c.coding, c.base + controlSuffix}, cell{p.name, c.coding, c.subject})
		}
	}
}

func (r *results) printCPU(w io.Writer) bool {
	t := newTable(w, "CPU time of the proxy per request, µs", "set-up\tcoding\tpage\twithout\twith\tratio\tcontrol\tbudget\t")
	r.rows(func(c comparison, p page, base, again, subject cell) {
		without := stats.Means(r.cpu[base], r.cpu[again])
		ratio := stats.MedianOf(stats.Ratios(r.cpu[subject], without))
		budget := cpuBudget(c, len(p.body))
		fmt.Fprintf(t, "%s\t%s\t%s\t%.0f\t%.0f\t%s\t%s\t%s\t%s\n", c.subject, c.coding, p.name,
			stats.Quantile(without, 0.5)/1e3, stats.Quantile(r.cpu[subject], 0.5)/1e3, interval(ratio, "%.2f"),
			interval(stats.MedianOf(stats.Ratios(r.cpu[again], r.cpu[base])), "%.2f"), limit(budget, "%.2f"), t.judged(judge(ratio, budget)))
	})
	_ = t.Flush()
	return t.missed
}

func (r *results) printAllocations(w io.Writer) bool {
	t := newTable(w, "Allocations per request", "set-up\tcoding\tpage\twithout\twith\tmore\tcontrol\tbudget\t")
	r.rows(func(c comparison, p page, base, again, subject cell) {
		if !c.hasMetrics {
			return
		}
		without := stats.Means(r.allocated[base], r.allocated[again])
		more := stats.Quantile(stats.Differences(r.allocated[subject], without), 0.5)
		control := stats.Quantile(stats.Differences(r.allocated[again], r.allocated[base]), 0.5)
		// The control's deviation comes from the counting itself and from buffers that several requests
		// share.
		noise := max(0.5, math.Abs(control))
		fmt.Fprintf(t, "%s\t%s\t%s\t%.1f\t%.1f\t%+.1f\t%+.1f\t%d\t%s\n", c.subject, c.coding, p.name,
			stats.Quantile(without, 0.5), stats.Quantile(r.allocated[subject], 0.5), more, control, budgetAllocations,
			t.judged(judge(stats.Estimate{Median: more, Low: more - noise, High: more + noise}, budgetAllocations+0.5)))
	})
	_ = t.Flush()
	return t.missed
}

func (r *results) printMemory(w io.Writer) bool {
	const mib = 1 << 20
	t := newTable(w, fmt.Sprintf("Resident memory, MiB: fresh, and with %d connections that loaded the %s page", r.options.crowd, r.crowdPage.name),
		"set-up\tcoding\tfresh\tmore\twith connections\tmore\tcontrol\theap and stacks: more\tbudget\t")
	r.rows(func(c comparison, p page, base, again, subject cell) {
		if p.name != r.crowdPage.name || c.coding == gzipped {
			return
		}
		scaled := func(s series, at cell) []float64 {
			out := make([]float64, len(s[at]))
			for i, v := range s[at] {
				out[i] = v / mib
			}
			return out
		}
		more := func(s series) stats.Estimate {
			return stats.MedianOf(stats.Differences(scaled(s, subject), stats.Means(scaled(s, base), scaled(s, again))))
		}
		budget := 0.0
		if c.subject == webpush {
			budget = budgetMemory / mib
		}
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%+.1f\t%.1f\t%s\t%s\t%s\t%s\t%s\n", c.subject, c.coding,
			stats.Quantile(scaled(r.idle, subject), 0.5), more(r.idle).Median, stats.Quantile(scaled(r.busy, subject), 0.5), interval(more(r.busy), "%+.1f"),
			interval(stats.MedianOf(stats.Differences(scaled(r.busy, again), scaled(r.busy, base))), "%+.1f"), interval(more(r.busyAnon), "%+.1f"),
			limit(budget, "%+.0f"), t.judged(judge(more(r.busy), budget)))
	})
	_ = t.Flush()
	return t.missed
}

func (r *results) printFirst(w io.Writer, title string, s series) {
	t := newTable(w, title, "set-up\tcoding\tpage\twithout: median\tp99\tcontrol: median\tp99\twith: median\tp99\tmedians' ratio\t")
	r.rows(func(c comparison, p page, base, again, subject cell) {
		if len(s[base]) == 0 {
			return
		}
		fmt.Fprintf(t, "%s\t%s\t%s", c.subject, c.coding, p.name)
		for _, at := range []cell{base, again, subject} {
			fmt.Fprintf(t, "\t%.0f\t%.0f", stats.Quantile(s[at], 0.5)/1e3, stats.Quantile(s[at], 0.99)/1e3)
		}
		both := (stats.Quantile(s[base], 0.5) + stats.Quantile(s[again], 0.5)) / 2
		fmt.Fprintf(t, "\t%.2f\t\n", stats.Quantile(s[subject], 0.5)/both)
	})
	_ = t.Flush()
}

func interval(e stats.Estimate, format string) string {
	return fmt.Sprintf(format+" ["+format+", "+format+"]", e.Median, e.Low, e.High)
}

func limit(budget float64, format string) string {
	if budget == 0 {
		return "-"
	}
	return fmt.Sprintf(format, budget)
}
