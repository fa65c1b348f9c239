package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// How often progress is shown: a person watches a terminal, a log only grows.
const (
	terminalPace = 100 * time.Millisecond
	logPace      = 5 * time.Second
)

// progress shows the progress of a long operation: a line that is overwritten on a
// terminal, or one line after another.
type progress struct {
	w        io.Writer
	terminal bool
	clock    func() time.Time
	started  time.Time
	shown    time.Time
	text     string
}

// newProgress writes to standard error, so that output can be piped.
func newProgress() *progress {
	p := &progress{w: os.Stderr, terminal: isTerminal(os.Stderr), clock: time.Now}
	p.started = p.clock()
	p.shown = p.started
	return p
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// show shows text if it is new and the last line is old enough.
func (p *progress) show(text string) {
	pace := logPace
	if p.terminal {
		pace = terminalPace
	}
	if text == p.text || p.clock().Sub(p.shown) < pace {
		return
	}
	p.write(text)
}

// finish shows the last text in any case, and ends the line.
func (p *progress) finish(text string) {
	if text != p.text || p.terminal {
		p.write(text)
	}
	if p.terminal {
		fmt.Fprintln(p.w)
	}
	p.text = ""
}

// abandon ends an unfinished line, so that an error gets its own line.
func (p *progress) abandon() {
	if p.terminal && p.text != "" {
		fmt.Fprintln(p.w)
	}
	p.text = ""
}

func (p *progress) write(text string) {
	p.text, p.shown = text, p.clock()
	if p.terminal {
		// \x1b[K clears the end of a longer earlier line.
		fmt.Fprintf(p.w, "\r%s\x1b[K", text)
		return
	}
	fmt.Fprintln(p.w, text)
}

// bar draws a share; with a whole of 0 the bar is full.
func bar(done, total int64) string {
	const width = 30
	filled, percent := int64(width), int64(100)
	if total > 0 {
		done = min(done, total)
		filled, percent = done*width/total, done*100/total
	}
	return fmt.Sprintf("[%s%s] %3d%%", strings.Repeat("█", int(filled)), strings.Repeat("░", width-int(filled)), percent)
}

// speed returns the amount per second, and the remaining time at that speed.
func speed(done, total int64, elapsed time.Duration) string {
	if done <= 0 || elapsed < 500*time.Millisecond {
		return ""
	}
	perSecond := float64(done) / elapsed.Seconds()
	text := fmt.Sprintf("  %.0f/s", perSecond)
	if left := total - done; left > 0 {
		text += "  ETA " + time.Duration(float64(left)/perSecond*float64(time.Second)).Round(time.Second).String()
	}
	return text
}

// messageProgress is one line on a message: a bar, the share, the counts.
func messageProgress(p pushsvc.Progress, elapsed time.Duration) string {
	text := fmt.Sprintf("%s  %d/%d  accepted %d", bar(p.Settled(), p.Audience), p.Settled(), p.Audience, p.Accepted)
	for _, part := range []count{
		{retried, p.Later},
		{"gone", p.Gone},
		{"left", p.Left},
		{"failed", p.FailedTotal()},
		{"expired", p.Expired},
		{"cancelled", p.Cancelled},
	} {
		if part.n > 0 {
			text += fmt.Sprintf(", %s %d", part.name, part.n)
		}
		if part.name == retried && part.n > 0 && len(p.Reasons) > 0 {
			text += " (" + inReasons(p.Reasons) + ")"
		}
	}
	return text + speed(p.Settled(), p.Audience, elapsed)
}

// transferProgress is one line on a file: of its bytes and its rows.
func transferProgress(done, total, rows int64, elapsed time.Duration) string {
	text := fmt.Sprintf("%d rows", rows)
	if total > 0 {
		text = bar(done, total) + "  " + text
	}
	if rows <= 0 || elapsed < 500*time.Millisecond {
		return text
	}
	text += fmt.Sprintf("  %.0f rows/s", float64(rows)/elapsed.Seconds())
	if left := total - done; left > 0 && done > 0 {
		text += "  ETA " + time.Duration(float64(elapsed)*float64(left)/float64(done)).Round(time.Second).String()
	}
	return text
}
