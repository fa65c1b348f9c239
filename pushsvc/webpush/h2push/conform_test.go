package h2push

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// handle answers as its path says: /status/bytes.
func handle(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var status, size int
	if _, scan := fmt.Sscanf(r.URL.Path, "/%d/%d", &status, &size); scan != nil || err != nil ||
		r.Method != http.MethodPost || r.ContentLength != int64(len(body)) || r.Header.Get("Ttl") != "60" {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	for _, b := range body {
		if b != 'b' {
			w.WriteHeader(http.StatusTeapot)
			return
		}
	}
	w.Header().Set("Location", "https://push.example.net/m/"+rand.Text())
	w.Header().Set("X-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(make([]byte, size))
}

// conform sends many concurrent requests of all sizes to a server with handle.
func conform(t *testing.T, dial func(t *testing.T) *Conn) {
	t.Helper()
	c := dial(t)
	var group sync.WaitGroup
	for i := range 300 {
		body := []int{0, 1, 100, 231, 4096, 16384, 16385, 70_000, 200_000}[i%9]
		status := []int{201, 404, 410, 429, 503}[i%5]
		size := []int{0, 1, 100, 4095, 4096, 4097, 100_000}[i%7]
		group.Go(func() {
			r := testRequest(body)
			r.Path = fmt.Sprintf("/%d/%d", status, size)
			if i%11 == 0 {
				r.Header = append(r.Header, Field{"topic", strconv.Itoa(i)})
			}
			response, err := patiently(t, c, r)
			if err != nil || response.Status != status || len(response.Body) != min(size, 4096) {
				t.Errorf("%d bytes to %s: %d with %d bytes, %v", body, r.Path, response.Status, len(response.Body), err)
			}
			if status != 201 && response.Header.Get("X-Length") != strconv.Itoa(body) {
				t.Errorf("%d bytes to %s: arrived as %q", body, r.Path, response.Header.Get("X-Length"))
			}
		})
	}
	group.Wait()
	if err := c.Err(); err != nil {
		t.Errorf("the connection ended: %v", err)
	}
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d requests left", n)
	}
}

// patiently sends with a timeout for a busy machine.
func patiently(t *testing.T, c *Conn, r *Request) (Response, error) {
	for !c.Reserve() {
		if c.Retired() {
			return Response{}, c.Err()
		}
		time.Sleep(time.Millisecond)
	}
	return c.RoundTrip(t.Context(), r, time.Now().Add(30*time.Second))
}

// open returns a Conn that ends with the test.
func open(t *testing.T, nc net.Conn) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := New(ctx, nc, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		expectDone(t, c)
	})
	return c
}

// TestAgainstXNet runs against golang.org/x/net/http2's server with its extreme settings.
func TestAgainstXNet(t *testing.T) {
	t.Parallel()
	//lint:ignore SA1019 net/http's server, which is meant instead, has no such settings; that one is tested too
	for name, server := range map[string]*http2.Server{
		"as it is":      {},
		"three streams": {MaxConcurrentStreams: 3},
		"no table":      {MaxDecoderHeaderTableSize: 1, MaxEncoderHeaderTableSize: 1},
		"large table":   {MaxDecoderHeaderTableSize: 1 << 16, MaxEncoderHeaderTableSize: 1 << 16},
		"small windows": {MaxUploadBufferPerConnection: 65536, MaxUploadBufferPerStream: 1000},
		"large frames":  {MaxReadFrameSize: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conform(t, func(t *testing.T) *Conn {
				client, peer := pair(t)
				//lint:ignore SA1019 as above
				go server.ServeConn(peer, &http2.ServeConnOpts{Handler: http.HandlerFunc(handle)})
				return open(t, client)
			})
		})
	}
}

// TestAgainstNetHTTP runs against net/http's server.
func TestAgainstNetHTTP(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(handle))
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server.Config.Protocols = &protocols
	server.Start()
	t.Cleanup(server.Close)
	conform(t, func(t *testing.T) *Conn {
		nc, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return open(t, nc)
	})
}

// TestAgainstNGHTTPD runs against nghttp2's server, an independent implementation, with its extreme settings.
func TestAgainstNGHTTPD(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("nghttpd")
	if err != nil {
		const word = "nghttpd is not installed (Debian's nghttp2-server)"
		if os.Getenv("WEBPUSH_E2E_REQUIRED") == "1" {
			t.Fatal(word)
		}
		t.Skip(word)
	}
	for name, options := range map[string]string{
		"as it is":       "",
		"two streams":    "--max-concurrent-streams=2",
		"no table":       "--header-table-size=0 --encoder-header-table-size=0",
		"large table":    "--header-table-size=65536 --encoder-header-table-size=65536",
		"padding":        "--padding=255",
		"small windows":  "--window-bits=8 --connection-window-bits=16",
		"trailers":       "--trailer=x-trailer:1",
		"early response": "--early-response",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dialNGHTTPD(t, program, strings.Fields(options))
			var group sync.WaitGroup
			for i := range 200 {
				size := []int{1, 100, 231, 4096, 20_000}[i%5]
				group.Go(func() {
					// It returns what it receives, or the part that it has.
					response, err := patiently(t, c, testRequest(size))
					if err != nil || response.Status != 200 || len(response.Body) > 4096 ||
						name != "early response" && name != "padding" && len(response.Body) != min(size, 4096) {
						t.Errorf("%d bytes: %d with %d bytes, %v", size, response.Status, len(response.Body), err)
					}
				})
			}
			group.Wait()
			if err := c.Err(); err != nil {
				t.Errorf("the connection ended: %v", err)
			}
		})
	}
}

func dialNGHTTPD(t *testing.T, program string, options []string) *Conn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	listener.Close() // it cannot choose a port itself
	command := exec.Command(program, append(options, "--no-tls", "--echo-upload", "--address=127.0.0.1", "--htdocs="+t.TempDir(), port)...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		nc, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			return open(t, nc)
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
}
