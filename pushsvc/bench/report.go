//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/bench/stats"
)

// machine describes where and when the figures were taken.
type machine struct {
	cpu   string
	loads [3]string // over one minute: before, after the large message, at the end
	begun time.Time
	took  time.Duration
}

func (m *machine) begin() {
	m.begun = time.Now()
	m.loads[0] = load()
	m.cpu = "unknown CPU"
	raw, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.cpu = strings.TrimSpace(value)
			break
		}
	}
}

func (m *machine) middle() { m.loads[1] = load() }

func (m *machine) end() {
	m.loads[2] = load()
	m.took = time.Since(m.begun)
}

// load returns the average number of runnable processes over a minute.
func load() string {
	raw, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(raw), " ")
	return first
}

// reporter prints progress.
type reporter struct {
	w        io.Writer
	terminal bool
	begun    time.Time
	last     time.Time
	width    int
}

func newReporter(w io.Writer) *reporter {
	r := &reporter{w: w, begun: time.Now()}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		r.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return r
}

func (r *reporter) line(format string, args ...any) string {
	return fmt.Sprintf("%4.0f s  %s", time.Since(r.begun).Seconds(), fmt.Sprintf(format, args...))
}

// say writes a permanent line.
func (r *reporter) say(format string, args ...any) {
	if r.width > 0 {
		fmt.Fprintf(r.w, "\r%*s\r", r.width, "")
	}
	r.width = 0
	fmt.Fprintln(r.w, r.line(format, args...))
	r.last = time.Now()
}

// progress replaces the last line; without a terminal it writes one line per ten seconds.
func (r *reporter) progress(format string, args ...any) {
	every := 10 * time.Second
	if r.terminal {
		every = 200 * time.Millisecond
	}
	if time.Since(r.last) < every {
		return
	}
	if !r.terminal {
		r.say(format, args...)
		return
	}
	line := r.line(format, args...)
	fmt.Fprintf(r.w, "\r%-*s", r.width, line)
	r.width, r.last = len(line), time.Now()
}

const mib = 1 << 20

// print writes both tables in Markdown.
func (r *results) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %d cores, %s; load %s before, %s after the message, %s at the end; %.0f s in all.\n\n",
		r.machine.cpu, runtime.NumCPU(), runtime.Version(), r.machine.loads[0], r.machine.loads[1], r.machine.loads[2], r.machine.took.Seconds())
	t := newTable(w, thousands(r.options.n)+" subscriptions", "")
	n := float64(r.options.n)
	t.row("import, rows/s", fmt.Sprintf("%s, %.0f µs of CPU each", thousands(int(n/r.imported.Wall.Seconds())), perMessage(r.imported.outcome)))
	t.row("file, bytes per row", fmt.Sprintf("%.0f", float64(r.fileSize)/n))
	t.row("maximum memory of the import without the file's", fmt.Sprintf("%.0f MiB; %.0f MiB while the store is closed", r.imported.importing/mib, r.imported.closing/mib))
	t.row("from the message's start to the first push", fmt.Sprintf("%.0f ms", float64(r.arrived.First-r.message.Begun)/1e6))
	t.row("messages/s, push service and all on this machine", fmt.Sprintf("%s, %.0f s in all", thousands(int(n/r.message.Wall.Seconds())), r.message.Wall.Seconds()))
	t.row("CPU of the sender per message", fmt.Sprintf("%.1f µs", perMessage(r.message)))
	t.row("messages/s per core", thousands(int(1e6/perMessage(r.message))))
	anonymous, file := peaks(r.memory)
	t.row("maximum memory without the file's", fmt.Sprintf("%.0f MiB", anonymous/mib))
	t.row("maximum pages of the file in memory", fmt.Sprintf("%.0f MiB", file/mib))
	t.row(fmt.Sprintf("bytes on the wire per message of %d bytes", r.message.Payload), fmt.Sprintf("%.0f, %.0f of them the encrypted message; back: %.0f",
		float64(r.arrived.Received)/n, float64(r.arrived.Bodies)/n, float64(r.arrived.Sent)/n))
	t.row("connections", strconv.FormatInt(r.arrived.Connections, 10))
	t.row("subscribers that got it once", thousands(int(r.arrived.Distinct)))
	t.row("never, or twice", strconv.FormatInt(int64(r.options.n)-r.arrived.Distinct+r.arrived.Repeated, 10))
	_ = t.Flush()
	r.printContest(w)
}

func (r *results) printContest(w io.Writer) {
	fmt.Fprintf(w, "\n%d rounds of turns; ratios are of each round's own values, to the mean of \"ours\" and \"ours again\": median [its 95 %% interval].\n\n", r.options.rounds)
	t := newTable(w, "sender", "messages a turn", "CPU per message, µs", "messages/s per core", "times ours", "bytes on the wire", "payload")
	base := stats.Means(r.cpu[ours], r.cpu[control])
	for _, c := range []struct {
		name string
		n    int
	}{{ours, r.options.turn}, {control, r.options.turn}, {byLoop, r.options.turnPeer}, {byNode, r.options.turnNode}} {
		if len(r.cpu[c.name]) == 0 {
			continue
		}
		cpu, ratio := stats.MedianOf(r.cpu[c.name]), stats.MedianOf(stats.Ratios(r.cpu[c.name], base))
		t.row(c.name, thousands(c.n), fmt.Sprintf("%.0f [%.0f, %.0f]", cpu.Median, cpu.Low, cpu.High), thousands(int(1e6/cpu.Median)),
			fmt.Sprintf("%.2f [%.2f, %.2f]", ratio.Median, ratio.Low, ratio.High),
			fmt.Sprintf("%.0f", stats.MedianOf(r.wire[c.name]).Median), strconv.Itoa(r.plain[c.name]))
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\nnode: %s\n", r.node)
}

// table is a Markdown table with aligned columns.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer, columns ...string) *table {
	t := &table{tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)}
	t.row(columns...)
	rule := make([]string, len(columns))
	for i := range rule {
		rule[i] = "---"
	}
	t.row(rule...)
	return t
}

func (t *table) row(cells ...string) {
	fmt.Fprintf(t, "| %s\t |\n", strings.Join(cells, "\t | "))
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
