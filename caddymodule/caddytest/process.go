// Package caddytest runs Caddy with this module as users do, for tests: the program
// as a process of its own, its command line, and what browsers send it.
package caddytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
)

// program is the package of what users run.
const program = "github.com/caddy-webpush/caddy-webpush/caddymodule/cmd/caddy"

// built is the folder that Build has made.
var built string

// Build builds the program that users run, once for all tests of a package, and
// returns its path.
var Build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "webpush-caddy")
	if err != nil {
		return "", err
	}
	built = dir
	bin := filepath.Join(dir, "caddy")
	out, err := exec.Command("go", "build", "-o", bin, program).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building: %w\n%s", err, out)
	}
	return bin, nil
})

// Main runs a package's tests and removes what they built.
func Main(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// Root is the folder of the repository.
var Root = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		} else if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", fmt.Errorf("looking for the repository: %w", err)
		}
		dir = filepath.Dir(dir)
	}
})

// Process is a real Caddy of its own, with a data directory of its own.
type Process struct {
	Client
	Bin, Dir, File string
	Admin, Port    int
	Cmd            *exec.Cmd
	Log            *Log
	Env            []string // more of the environment

	root string
}

// Log is what a process has written; it may be read meanwhile.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// New prepares Caddyfile.example, or text where it is not empty, on
// ports that are free; from the repository's root, as the README says.
func New(t testing.TB, text, data string) *Process {
	t.Helper()
	bin, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	if text == "" {
		raw, err := os.ReadFile(filepath.Join(root, "Caddyfile.example"))
		if err != nil {
			t.Fatal(err)
		}
		text = string(raw)
	}
	p := &Process{Bin: bin, Dir: data, Admin: FreePort(t), Port: FreePort(t), Log: new(Log), root: root}
	p.Client = Client{T: t, URL: fmt.Sprintf("http://127.0.0.1:%d", p.Port)}
	// In one pass: a port that the system picks may itself contain 8081.
	text = strings.NewReplacer("8080", fmt.Sprint(p.Port), "8081", fmt.Sprint(FreePort(t))).Replace(text)
	// A push service that resolves nowhere: tests send nothing to real ones.
	text = fmt.Sprintf("{\n\tadmin localhost:%d\n\twebpush {\n\t\tpush_services default push.webpush.test\n\t\tsubscribe_limit off\n\t\tevent_limit off\n\t}\n}\n\n%s", p.Admin, text)
	p.File = filepath.Join(t.TempDir(), "Caddyfile.example")
	if err := os.WriteFile(p.File, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// Command is the program with these arguments, not yet started.
func (p *Process) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.Bin, args...)
	cmd.Dir = p.root
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+p.Dir, "XDG_CONFIG_HOME="+p.Dir)
	cmd.Env = append(cmd.Env, p.Env...)
	return cmd
}

// Host is the site's name.
func (p *Process) Host() string { return fmt.Sprintf("localhost:%d", p.Port) }

// Start runs the server and returns when it answers. The test's end kills it.
func (p *Process) Start() {
	p.T.Helper()
	p.Cmd = p.Command("run", "--config", p.File)
	p.Cmd.Stdout, p.Cmd.Stderr = p.Log, p.Log
	if err := p.Cmd.Start(); err != nil {
		p.T.Fatal(err)
	}
	p.T.Cleanup(func() { _ = p.Cmd.Process.Kill(); _ = p.Cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if resp, _, err := p.Try(http.MethodGet, p.Host(), "/_webpush/sdk.js", nil, ""); err == nil && resp.StatusCode == 200 {
			return
		}
		if time.Now().After(deadline) {
			p.Kill()
			p.T.Fatalf("the server did not start:\n%s", p.Log)
		}
	}
}

// Kill ends the server by kill -9.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill()
	_ = p.Cmd.Wait()
}

// Terminate ends the server by SIGTERM, which must succeed.
func (p *Process) Terminate() {
	p.T.Helper()
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.T.Fatal(err)
	}
	if err := p.Cmd.Wait(); err != nil {
		p.T.Errorf("ending: %v\n%s", err, p.Log)
	}
}

// CLI runs "caddy webpush …" and returns both outputs.
func (p *Process) CLI(args ...string) (stdout, stderr string, err error) {
	cmd := p.Command(append([]string{"webpush", "--address", fmt.Sprintf("localhost:%d", p.Admin)}, args...)...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// OK runs a command that must succeed and returns what it printed.
func (p *Process) OK(args ...string) string {
	p.T.Helper()
	out, stderr, err := p.CLI(args...)
	if err != nil {
		p.T.Fatalf("%v: %v\n%s%s", args, err, out, stderr)
	}
	return out
}

// Stored counts a site's subscriptions in a database file that no process has open.
func Stored(t testing.TB, db, site string) int64 {
	t.Helper()
	store, err := boltstore.Open(context.Background(), db, boltstore.Options{Timeout: time.Second})
	if err != nil {
		t.Fatalf("opening the database again: %v", err)
	}
	defer store.Close()
	sum, err := store.Site(context.Background(), site)
	if err != nil {
		t.Fatal(err)
	}
	return sum.Subscriptions
}
