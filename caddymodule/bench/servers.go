//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/childproc"
)

// The set-ups' names in tables. Those ending in controlSuffix are second processes of the one before.
const (
	plain         = "reverse_proxy"
	webpush       = "webpush"
	encode        = "encode"
	encodeWebpush = "encode + webpush"
	nginxPlain    = "nginx"
	nginxSub      = "nginx sub_filter"
	controlSuffix = " again"
)

// snippet is what the module adds to pages, so that sub_filter does the same.
const snippet = `<link rel="manifest" href="/manifest.json"/><script src="/_webpush/sdk.js" defer="defer"></script>`

// marker is the part of the snippet that pages have if the module or sub_filter is active.
const marker = "/_webpush/sdk.js"

// server is a measured proxy.
type server struct {
	name    string
	address string // host:port
	admin   string // Caddy's admin socket; empty for nginx
	injects bool
	process *childproc.Process
	pool    *pool
}

// fleet is all processes that run at one time.
type fleet struct {
	dir       string
	env       []string // in addition to the inherited environment
	processes []*childproc.Process
	servers   map[string]*server
}

// stop ends all processes, even after an incomplete start, and removes their files.
func (f *fleet) stop() {
	for _, s := range f.servers {
		s.pool.close()
	}
	for _, p := range f.processes {
		_ = p.Stop(2 * time.Second)
	}
	_ = os.RemoveAll(f.dir)
}

// launch returns a fleet with only the upstream, and its address; env is added to the environment of all
// processes. The caller stops the fleet, also after an error.
func launch(o options, env []string) (f *fleet, upstream string, err error) {
	f = &fleet{servers: map[string]*server{}, env: env}
	if f.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return f, "", fmt.Errorf("making a folder: %w", err)
	}
	if upstream, err = f.startUpstream(o); err != nil {
		return f, "", fmt.Errorf("starting the upstream: %w", err)
	}
	return f, upstream, nil
}

// start runs the upstream and all set-ups, with env added to their environment.
// The caller stops the fleet, also after an error.
func start(ctx context.Context, o options, caddy string, env []string) (*fleet, error) {
	f, upstream, err := launch(o, env)
	if err != nil {
		return f, err
	}
	for _, c := range []struct{ name, directives string }{
		{plain, ""},
		{plain + controlSuffix, ""},
		{webpush, "webpush"},
		{encode, "encode"},
		{encode + controlSuffix, "encode"},
		{encodeWebpush, "encode\n\twebpush"},
	} {
		if err := tryAgain(ctx, func() error { return f.startCaddy(ctx, o, caddy, c.name, "", c.directives, upstream) }); err != nil {
			return f, fmt.Errorf("starting caddy for %q: %w", c.name, err)
		}
	}
	if o.nginx == "" {
		return f, nil
	}
	filter := fmt.Sprintf("sub_filter '</head>' '%s</head>'; sub_filter_once on; proxy_set_header Accept-Encoding \"\";", snippet)
	for _, c := range []struct{ name, directives string }{
		{nginxPlain, ""}, {nginxPlain + controlSuffix, ""}, {nginxSub, filter},
	} {
		if err := tryAgain(ctx, func() error { return f.startNginx(ctx, o, c.name, c.directives, upstream) }); err != nil {
			return f, fmt.Errorf("starting %q: %w", c.name, err)
		}
	}
	return f, nil
}

// tryAgain starts a server up to 5 times: another process may take the free port first.
func tryAgain(ctx context.Context, start func() error) error {
	for try := 1; ; try++ {
		if err := start(); err == nil || try == 5 || ctx.Err() != nil {
			return err
		}
	}
}

// run starts a program of the fleet with its output in a file of its own.
func (f *fleet) run(o options, name string, cmd *exec.Cmd) (*childproc.Process, error) {
	log, err := os.Create(filepath.Join(f.dir, name+".log"))
	if err != nil {
		return nil, fmt.Errorf("making a log: %w", err)
	}
	defer log.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.Stderr = log
	cmd.Env = append(append(os.Environ(), f.env...), "GOMAXPROCS="+strconv.Itoa(o.procs),
		"HOME="+f.dir, "XDG_DATA_HOME="+filepath.Join(f.dir, name), "XDG_CONFIG_HOME="+filepath.Join(f.dir, name))
	p, err := childproc.Start(cmd)
	if err != nil {
		return nil, err
	}
	f.processes = append(f.processes, p)
	return p, nil
}

func (f *fleet) startUpstream(o options) (address string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	var sizes []string
	for _, n := range o.sizes {
		sizes = append(sizes, strconv.Itoa(n))
	}
	r, w, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("making a pipe: %w", err)
	}
	defer r.Close()
	cmd := exec.Command(self, upstreamArgument, "-pages", o.dir, "-sizes", strings.Join(sizes, ","))
	cmd.Stdout = w
	_, err = f.run(o, "upstream", cmd)
	_ = w.Close() // the child has its own
	if err != nil {
		return "", err
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("reading its address: %w\n%s", err, f.log("upstream"))
	}
	return strings.TrimSpace(line), nil
}

func (f *fleet) startCaddy(ctx context.Context, o options, program, name, global, directives, upstream string) error {
	short := fileName(name)
	address, err := freeAddress()
	if err != nil {
		return err
	}
	s := &server{name: name, address: address, admin: filepath.Join(f.dir, short+".sock"), injects: strings.Contains(directives, "webpush")}
	file, err := f.write(short+".caddyfile", fmt.Sprintf(`{
	admin unix/%s
	persist_config off
	auto_https off
	grace_period 1s
	log {
		level ERROR
	}
	%s
}
http://%s {
	bind 127.0.0.1
	%s
	reverse_proxy %s
}
`, s.admin, global, address, directives, upstream))
	if err != nil {
		return err
	}
	if s.process, err = f.run(o, short, exec.Command(program, "run", "--config", file, "--adapter", "caddyfile")); err != nil {
		return err
	}
	return f.add(ctx, s, short)
}

// startNginx runs one nginx as a single process: master and worker in one.
func (f *fleet) startNginx(ctx context.Context, o options, name, directives, upstream string) error {
	short := fileName(name)
	address, err := freeAddress()
	if err != nil {
		return err
	}
	prefix := filepath.Join(f.dir, short)
	if err := os.MkdirAll(prefix, 0o700); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	file, err := f.write(short+".conf", fmt.Sprintf(`daemon off;
master_process off;
error_log stderr error;
pid %[1]s/pid;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	keepalive_requests 100000000;
	keepalive_timeout 600s;
	upstream pages { server %[3]s; keepalive 32; keepalive_requests 100000000; }
	server {
		listen %[2]s;
		location / {
			proxy_pass http://pages;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			%[4]s
		}
	}
}
`, prefix, address, upstream, directives))
	if err != nil {
		return err
	}
	s := &server{name: name, address: address, injects: directives != ""}
	if s.process, err = f.run(o, short, exec.Command(o.nginx, "-p", prefix, "-e", "stderr", "-c", file)); err != nil {
		return err
	}
	return f.add(ctx, s, short)
}

// add waits until the server takes connections.
func (f *fleet) add(ctx context.Context, s *server, short string) error {
	s.pool = newPool(s.address)
	f.servers[s.name] = s
	timeout := time.After(20 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", s.address, time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.process.Done():
			return fmt.Errorf("it ended at once (%w):\n%s", s.process.Err(), f.log(short))
		case <-timeout:
			return fmt.Errorf("no connection: %w\n%s", err, f.log(short))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (f *fleet) write(name, text string) (string, error) {
	file := filepath.Join(f.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("writing a config: %w", err)
	}
	return file, nil
}

// log returns the end of a process's output.
func (f *fleet) log(name string) []byte {
	raw, _ := os.ReadFile(filepath.Join(f.dir, name+".log"))
	return bytes.TrimSpace(raw[max(0, len(raw)-2000):])
}

func fileName(name string) string {
	return strings.NewReplacer(" ", "-", "+", "and").Replace(name)
}

// freeAddress returns an address that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// program returns the program to measure: the options', or one that it builds. remove removes what was built.
func program(ctx context.Context, o options, progress io.Writer) (path string, remove func(), err error) {
	if o.caddy != "" {
		return o.caddy, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "bench-build")
	if err != nil {
		return "", nil, fmt.Errorf("making a folder: %w", err)
	}
	remove = func() { _ = os.RemoveAll(dir) }
	fmt.Fprintln(progress, "building caddy")
	if path, err = buildCaddy(ctx, dir); err != nil {
		remove()
		return "", nil, err
	}
	return path, remove, nil
}

// buildCaddy builds the program that users run.
func buildCaddy(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "caddy")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/caddy-webpush/caddy-webpush/caddymodule/cmd/caddy")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building caddy: %w\n%s", err, out)
	}
	return program, nil
}
