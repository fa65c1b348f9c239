//go:build unix

package webpush

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	peer "github.com/SherClockHolmes/webpush-go"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush/certtest"
)

// sinkVariable makes the test binary a push service, so that benchmarks measure only the sender's CPU.
const sinkVariable = "WEBPUSH_BENCHMARK_SINK"

func TestMain(m *testing.M) {
	if os.Getenv(sinkVariable) != "" {
		runSink()
		return
	}
	os.Exit(m.Run())
}

// runSink serves until standard input ends. It prints its address and its
// certificate.
func runSink() {
	s := newSink(&testing.B{}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	})
	fmt.Println(s.addr)
	fmt.Print(string(certtest.PEM(s.leaf)))
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startSink runs runSink in another process.
func startSink(b *testing.B) (addr string, roots *x509.CertPool) {
	b.Helper()
	command := exec.CommandContext(b.Context(), os.Args[0])
	command.Env = append(os.Environ(), sinkVariable+"=1")
	stdin, err := command.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		_ = command.Wait()
	})
	var text strings.Builder
	for lines := bufio.NewScanner(stdout); lines.Scan() && lines.Text() != "ready"; {
		if addr == "" {
			addr = lines.Text()
			continue
		}
		text.WriteString(lines.Text() + "\n")
	}
	roots = x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(text.String())) {
		b.Fatal("the sink did not start")
	}
	return addr, roots
}

// cpuTime returns the process's user and system time so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// contest runs two implementations in turns, so that both see the same noise, and reports the CPU time per
// message of each and their ratio.
func contest(b *testing.B, turn int, ours, theirs func(n int)) {
	ours(turn)
	theirs(turn)
	var us, them time.Duration
	messages := 0
	b.ResetTimer()
	for b.Loop() {
		start := cpuTime(b)
		ours(turn)
		middle := cpuTime(b)
		theirs(turn)
		us += middle - start
		them += cpuTime(b) - middle
		messages += turn
	}
	b.ReportMetric(us.Seconds()*1e6/float64(messages), "ours-cpu-us/msg")
	b.ReportMetric(them.Seconds()*1e6/float64(messages), "peer-cpu-us/msg")
	b.ReportMetric(float64(them)/float64(us), "ratio")
	b.ReportMetric(0, "ns/op")
}

// recipients is how many subscriptions the benchmarks send to in turn. A single endpoint would cost one byte,
// from HTTP/2's header table.
const recipients = 1000

// audience is a message to many subscribers, for us and for the peer.
type audience struct {
	next          atomic.Int64
	requests      []Request
	subscriptions []peer.Subscription
	options       peer.Options
}

// newAudience makes FCM-shaped endpoints, of 188 characters, and a payload of
// 120 bytes.
func newAudience(b *testing.B) *audience {
	b.Helper()
	payload := []byte(`{"id":"m1","notification":{"title":"Hello","body":"` + strings.Repeat("x", 66) + `"}}`)
	if len(payload) != 120 {
		b.Fatal(len(payload))
	}
	first, _ := requestTo(b, "fcm.googleapis.com")
	b64 := base64.RawURLEncoding.EncodeToString
	a := &audience{options: peer.Options{
		Subscriber: "ops@example.com", TTL: first.TTL,
		VAPIDPublicKey: first.Key.PublicKey(), VAPIDPrivateKey: mustReveal(b, first.Key),
	}}
	for range recipients {
		s := newSubscriber(b)
		token := make([]byte, 8+100)
		_, _ = rand.Read(token)
		r := *first
		r.Endpoint = "https://fcm.googleapis.com/fcm/send/" + b64(token[:8]) + ":APA91b" + b64(token[8:])
		r.P256DH, r.Auth, r.Payload = s.p256dh(), s.auth, payload
		a.requests = append(a.requests, r)
		a.subscriptions = append(a.subscriptions, peer.Subscription{
			Endpoint: r.Endpoint, Keys: peer.Keys{P256dh: b64(r.P256DH[:]), Auth: b64(r.Auth[:])},
		})
	}
	return a
}

func (a *audience) request() *Request { return &a.requests[a.next.Add(1)%recipients] }

// sendByPeer is webpush-go's loop for one message.
func (a *audience) sendByPeer(ctx context.Context, client peer.HTTPClient) error {
	options := a.options
	options.HTTPClient = client
	i := a.next.Add(1) % recipients
	payload := a.requests[i].Payload
	response, err := peer.SendNotificationWithContext(ctx, payload[:len(payload):len(payload)], &a.subscriptions[i], &options)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.Body.Close()
}

// BenchmarkEncryptAgainstPeer measures everything but HTTP: encryption, token, request.
func BenchmarkEncryptAgainstPeer(b *testing.B) {
	a := newAudience(b)
	client := NewClient(Config{})
	m := newMessage().(*message)
	contest(b, 200, func(n int) {
		for range n {
			r := a.request()
			endpoint, err := client.services.Check(r.Endpoint)
			if err != nil {
				b.Fatal(err)
			}
			if err := client.prepare(m, endpoint, r); err != nil {
				b.Fatal(err)
			}
		}
	}, func(n int) {
		for range n {
			if err := a.sendByPeer(b.Context(), nullClient{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

type nullClient struct{}

func (nullClient) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody}, nil
}

// BenchmarkSendAgainstPeer sends through TLS and HTTP/2 to a sink in another process, 100 at once; webpush-go
// uses a transport with connections bounded like ours, and its default transport.
func BenchmarkSendAgainstPeer(b *testing.B) {
	b.Run("tuned", func(b *testing.B) {
		benchmarkSend(b, &http.Transport{ForceAttemptHTTP2: true, DisableCompression: true, MaxConnsPerHost: maxConns})
	})
	b.Run("default", func(b *testing.B) { benchmarkSend(b, http.DefaultTransport.(*http.Transport).Clone()) })
}

func benchmarkSend(b *testing.B, transport *http.Transport) {
	addr, roots := startSink(b)
	var bytesOut [2]counter
	dial := func(c *counter) DialFunc {
		return func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &countingConn{conn, c}, err
		}
	}
	a := newAudience(b)
	client := NewClient(Config{Dial: dial(&bytesOut[0]), RootCAs: roots})
	defer client.Close()
	transport.Proxy = nil
	transport.DialContext = dial(&bytesOut[1])
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	defer transport.CloseIdleConnections()
	peerClient := &http.Client{Transport: transport, Timeout: sendTimeout}

	var sent int
	contest(b, 2000, func(n int) {
		sent += n
		inParallel(n, func() {
			if result := client.Send(b.Context(), a.request()); result.Class != ClassAccepted {
				b.Errorf("%+v", result)
			}
		})
	}, func(n int) {
		inParallel(n, func() {
			if err := a.sendByPeer(b.Context(), peerClient); err != nil {
				b.Error(err)
			}
		})
	})
	b.ReportMetric(float64(bytesOut[0].total())/float64(sent), "ours-B/msg")
	b.ReportMetric(float64(bytesOut[1].total())/float64(sent), "peer-B/msg")
}

// BenchmarkSend is only our side, for profiles.
func BenchmarkSend(b *testing.B) {
	addr, roots := startSink(b)
	client := NewClient(Config{RootCAs: roots, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}})
	defer client.Close()
	a := newAudience(b)
	const turn = 2000
	b.ReportAllocs()
	start := cpuTime(b)
	for b.Loop() {
		inParallel(turn, func() {
			if result := client.Send(b.Context(), a.request()); result.Class != ClassAccepted {
				b.Errorf("%+v", result)
			}
		})
	}
	b.ReportMetric((cpuTime(b)-start).Seconds()*1e6/float64(turn*b.N), "cpu-us/msg")
}

// inParallel runs do n times, 100 at once.
func inParallel(n int, do func()) {
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			for range n / 100 {
				do()
			}
		})
	}
	group.Wait()
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

type countingConn struct {
	net.Conn
	written *counter
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.written.mu.Lock()
	c.written.n += len(p)
	c.written.mu.Unlock()
	return c.Conn.Write(p)
}

func BenchmarkEncrypt(b *testing.B) {
	r, _ := requestTo(b, "fcm.googleapis.com")
	buffer := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encrypt(buffer, r.Payload, r.P256DH, r.Auth, ServiceFCM); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	services := DefaultServices()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := services.Check("https://fcm.googleapis.com/fcm/send/" + secretPath); err != nil {
			b.Fatal(err)
		}
	}
}
