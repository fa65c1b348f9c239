//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// The parts of this program that run as processes of their own: its first argument.
const (
	partSink    = "push-service"
	partImport  = "import"
	partMessage = "message"
	partLoop    = "webpush-go"
)

// part is a process's main function. It answers in lines of JSON and ends with its standard input.
type part func(ctx context.Context, t task, in io.Reader, answers *json.Encoder) error

var parts = map[string]part{
	partSink:    serveSink,
	partImport:  importRows,
	partMessage: sender(sendMessage),
	partLoop:    sender(sendByLoop),
}

// task is a process's task, JSON in its second argument.
type task struct {
	Store string `json:"store,omitempty"`
	// N is how many subscriptions to import or to send to.
	N int `json:"n,omitempty"`
	// Address and Certificate (PEM) are the push service's.
	Address     string `json:"address,omitempty"`
	Certificate string `json:"certificate,omitempty"`

	// For node: the subscribers (the first Warmup before the measurement) and the message.
	Subscribers []peerSubscription `json:"subscribers,omitempty"`
	Warmup      int                `json:"warmup,omitempty"`
	Payload     string             `json:"payload,omitempty"`
	Public      string             `json:"public,omitempty"`
	Private     string             `json:"private,omitempty"`
	TTL         int                `json:"ttl,omitempty"`
}

// outcome is a sender's or an import's report.
type outcome struct {
	// Done is false in progress reports, which only have Sent.
	Done bool `json:"done"`
	Sent int  `json:"sent"`
	// Timed is how many of them CPU and Wall (both in ns) include.
	Timed int           `json:"timed"`
	CPU   time.Duration `json:"cpu"`
	Wall  time.Duration `json:"wall"`
	// Begun is when the message was passed on, ns since 1970.
	Begun int64 `json:"begun"`
	// Payload is the plaintext's length in bytes.
	Payload int `json:"payload"`
	// Problem is what went wrong; empty for nothing.
	Problem string `json:"problem,omitempty"`
}

func runPart(ctx context.Context, run part, args []string, stdin io.Reader, stdout io.Writer) error {
	var t task
	if len(args) != 1 {
		return errors.New("only the program itself may call this")
	}
	if err := json.Unmarshal([]byte(args[0]), &t); err != nil {
		return fmt.Errorf("reading the task: %w", err)
	}
	return run(ctx, t, stdin, json.NewEncoder(stdout))
}

// untilEnd returns a context that ends with in, which the parent process holds open as long as it lives.
func untilEnd(ctx context.Context, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	return ctx, cancel
}

// process is a started process.
type process struct {
	name    string
	command *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	errors  *tail
}

// startPart starts this program as one of its parts.
func startPart(ctx context.Context, part string, t task) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	text, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("writing a task: %w", err)
	}
	command := exec.CommandContext(ctx, program, part, string(text))
	command.Env = append(os.Environ(), partVariable+"=1")
	return start(part, command)
}

// partVariable makes a test binary one of the parts.
const partVariable = "WEBPUSH_BENCH_PART"

func start(name string, command *exec.Cmd) (*process, error) {
	p := &process{name: name, command: command, errors: new(tail)}
	command.Stderr = p.errors
	command.WaitDelay = 5 * time.Second
	var err error
	if p.in, err = command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("making a pipe to %s: %w", name, err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe from %s: %w", name, err)
	}
	p.answers = json.NewDecoder(bufio.NewReader(out))
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// answer reads the process's next answer.
func (p *process) answer(into any) error {
	if err := p.answers.Decode(into); err != nil {
		_ = p.end()
		return fmt.Errorf("%s does not answer: %w; its last words: %s", p.name, err, p.errors)
	}
	return nil
}

// outcome waits for the end of the process's work and reports progress.
func (p *process) outcome(progress func(sent int)) (outcome, error) {
	for {
		var o outcome
		if err := p.answer(&o); err != nil {
			return o, err
		}
		if o.Problem != "" {
			_ = p.end()
			return o, fmt.Errorf("%s: %s", p.name, o.Problem)
		}
		if o.Done {
			return o, p.end()
		}
		progress(o.Sent)
	}
}

// end closes the process's input and waits for its end.
func (p *process) end() error {
	_ = p.in.Close()
	if err := p.command.Wait(); err != nil {
		return fmt.Errorf("%s: %w; its last words: %s", p.name, err, p.errors)
	}
	return nil
}

// tail keeps the end of the written bytes. exec calls it from one goroutine, which has ended when Wait
// returns.
type tail struct{ b []byte }

const tailLength = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > tailLength {
		t.b = append(t.b[:0], t.b[len(t.b)-tailLength:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.b) }
