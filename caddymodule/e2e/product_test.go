//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-webpush/caddy-webpush/caddymodule"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/childproc"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/pushservice"
)

func init() { caddytest.ActAsCaddy(new(fakeDialer)) }

// fakeDialer connects only to the fake push services. The endpoint guard is
// unchanged: the endpoints are those of the real services.
type fakeDialer struct {
	Hosts map[string]string `json:"hosts"`
}

// CaddyModule returns the Caddy module information.
func (*fakeDialer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "webpush.dialer.e2e", New: func() caddy.Module { return new(fakeDialer) }}
}

// DialContext implements the dialer.
func (d *fakeDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return pushservice.Dial(d.Hosts)(ctx, network, address)
}

// product is a Caddy in front of sites that know nothing of push.
type product struct {
	t       *testing.T
	dir     string
	admin   string
	origins []string
	env     []string
}

// sitePages is the unmodified site.
var sitePages = map[string]string{
	"/": `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Shop</title></head>
<body><h1>Shop</h1><p>An ordinary page. <a href="/sale">Sale</a></p></body></html>`,
	"/sale": `<!DOCTYPE html><html lang="en"><head><title>Sale</title></head><body><h1>Sale</h1></body></html>`,
	"/more": `<!DOCTYPE html><html lang="en"><head><title>More</title></head><body><h1>More</h1></body></html>`,
}

// atOnce shows the prompt on the first page; the default is the second.
const atOnce = "prompt {\n\t\t\tafter 1 page\n\t\t}"

// startProduct runs one Caddy with a site per option block, each on its own
// origin. Unless the options set the prompt, it appears at once.
func startProduct(t *testing.T, options ...string) *product {
	t.Helper()
	return startProductBefore(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := sitePages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page)
	}), options...)
}

// startProductBefore is startProduct in front of another site.
func startProductBefore(t *testing.T, site http.Handler, options ...string) *product {
	t.Helper()
	upstream := httptest.NewServer(site)
	t.Cleanup(upstream.Close)
	p := &product{t: t, dir: t.TempDir(), admin: freeAddress(t)}
	pem := filepath.Join(p.dir, "ca.pem")
	must(t, shared.authority.WritePEM(pem))
	p.env = productEnv(p.dir, pem)

	var text strings.Builder
	fmt.Fprintf(&text, "{\n\tadmin %s\n\tauto_https off\n\twebpush {\n\t\tcontact mailto:ops@example.com\n\t}\n}\n", p.admin)
	for _, o := range options {
		origin := "http://" + freeAddress(t)
		p.origins = append(p.origins, origin)
		if !strings.Contains(o, "prompt {") {
			o += "\n\t\t" + atOnce
		}
		fmt.Fprintf(&text, "\n%s {\n\tencode\n\twebpush {\n\t\t%s\n\t}\n\treverse_proxy %s\n}\n",
			origin, o, strings.TrimPrefix(upstream.URL, "http://"))
	}
	file := filepath.Join(p.dir, "Caddyfile")
	must(t, os.WriteFile(file, []byte(text.String()), 0o600))
	p.run(p.withDialer(file))
	return p
}

// productEnv returns the environment of Caddy and of its commands.
func productEnv(dir, pem string) []string {
	return append(append(os.Environ(), caddytest.ActorEnv(pem)...), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "HOME="+dir)
}

// withDialer adapts the Caddyfile and adds the dialer to the JSON.
func (p *product) withDialer(file string) string {
	p.t.Helper()
	out, err := p.command("adapt", "--config", file).Output()
	must(p.t, err)
	var config map[string]any
	must(p.t, json.Unmarshal(out, &config))
	app := config["apps"].(map[string]any)["webpush"].(map[string]any)
	app["dialer"] = map[string]any{"module": "e2e", "hosts": shared.hosts()}
	raw, err := json.Marshal(config)
	must(p.t, err)
	path := filepath.Join(p.dir, "caddy.json")
	must(p.t, os.WriteFile(path, raw, 0o600))
	return path
}

func (p *product) run(config string) {
	p.t.Helper()
	var log bytes.Buffer
	cmd := p.command("run", "--config", config)
	cmd.Stdout, cmd.Stderr = &log, &log
	proc, err := childproc.Start(cmd)
	must(p.t, err)
	p.t.Cleanup(func() {
		if err := proc.Stop(30 * time.Second); err != nil {
			p.t.Logf("caddy: %v", err)
		}
		for _, secret := range []string{"/fcm/send/", "/wp/", "/wpush/", "vapid t="} {
			if strings.Contains(log.String(), secret) {
				p.t.Errorf("the log has a secret (%q)", secret)
			}
		}
		if p.t.Failed() {
			p.t.Logf("caddy said:\n%s", log.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(p.origins[0] + "/_webpush/sdk.js")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("caddy did not start: %v\n%s", err, log.String())
		}
	}
}

func (p *product) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = p.env
	return cmd
}

// cli runs "caddy webpush …" as an operator would, and decodes the output of
// --json.
func (p *product) cli(result any, args ...string) {
	p.t.Helper()
	if err := p.tryCLI(result, args...); err != nil {
		p.t.Fatal(err)
	}
}

// tryCLI is cli for commands that may fail. It decodes the output before it
// returns the error.
func (p *product) tryCLI(result any, args ...string) error {
	p.t.Helper()
	cmd := p.command(append([]string{"webpush", "--address", p.admin, "--json"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if result != nil && len(out) > 0 {
		must(p.t, json.Unmarshal(out, result))
	}
	if err != nil {
		return fmt.Errorf("caddy webpush %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return nil
}

// host returns the site's name: the origin without its scheme.
func host(origin string) string { return strings.TrimPrefix(origin, "http://") }

// Ports come from below the ranges that systems use for unspecified ports and for
// the local end of every connection (Linux from 32768, others from 49152), so
// that no other program gets one between freeAddress and the start of its server.
const (
	firstPort = 12000
	lastPort  = 31999
)

// ports counts the addresses used. It starts at random, so that two runs differ.
var ports = func() *atomic.Int64 {
	n := new(atomic.Int64)
	n.Store(rand.Int64N(lastPort - firstPort))
	return n
}()

// freeAddress returns an address that no earlier test of this run has used:
// browsers keep their data about an origin.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range lastPort - firstPort {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+ports.Add(1)%(lastPort-firstPort))
		if l, err := net.Listen("tcp", address); err == nil {
			must(t, l.Close())
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// serve runs a site on its own origin.
func serve(t *testing.T, site http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", freeAddress(t))
	must(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: site}}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}
