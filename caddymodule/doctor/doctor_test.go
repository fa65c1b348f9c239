package doctor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/doctor"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// TestFailures: the most frequent first.
func TestFailures(t *testing.T) {
	found := doctor.Failures(api.FailureCounts{Since: time.Unix(0, 0).UTC(), Failures: map[string]int64{"push_timeout": 2, "unanswered": 5, "not_allowed": 0}})
	if len(found) != 2 || !strings.Contains(found[0].Finding, "5 visits since 1970-01-01T00:00:00Z could not subscribe: unanswered") || found[1].Cure == "" {
		t.Errorf("%+v", found)
	}
}

// TestReachServices: push services that answer anything; that do not answer; and other servers at
// their names.
func TestReachServices(t *testing.T) {
	there := httptest.NewTLSServer(http.NotFoundHandler())
	defer there.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	hosts := map[string]func(context.Context) (net.Conn, error){
		"fcm.googleapis.com": func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", there.Listener.Addr().String())
		},
		"updates.push.services.mozilla.com": func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", silent.Addr().String())
		},
		"web.push.apple.com": func(context.Context) (net.Conn, error) { return nil, &net.DNSError{Err: "no such host", Name: "x"} },
		"wns2-par02p.notify.windows.com": func(context.Context) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
		},
	}
	reach := func(trusting bool) []doctor.Diagnosis {
		transport := there.Client().Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.InsecureSkipVerify = trusting
		transport.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(address)
			return hosts[host](ctx)
		}
		return doctor.ReachServices(t.Context(), transport)
	}
	wants := []string{"FCM) can be reached", "timeout", "dns", "network"}
	for i, d := range reach(true) {
		if !strings.Contains(d.Finding, wants[i]) || (d.Verdict == "ok") != (i == 0) || (d.Cure == "") != (i == 0) {
			t.Errorf("%+v, want %s", d, wants[i])
		}
	}
	hosts["updates.push.services.mozilla.com"] = hosts["web.push.apple.com"] // the silent one has been
	if d := reach(false); !strings.Contains(d[0].Finding, "tls") || !slices.ContainsFunc(d, func(d doctor.Diagnosis) bool { return d.Check == "services" }) {
		t.Errorf("%+v", d)
	}
}

// TestExamineInterrupted: an interrupted checkup reports how far it came, and has no finding that
// something does not load.
func TestExamineInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/" {
			_, _ = io.WriteString(w, `<!doctype html><head><script src="/_webpush/sdk.js" defer></script></head>`)
			return
		}
		cancel()
		http.NotFound(w, r)
	}))
	defer page.Close()
	report, err := doctor.Examine(ctx, http.DefaultTransport, page.URL+"/")
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "before it looked at") || len(report.Diagnoses) != 0 {
		t.Errorf("%v, %+v", err, report)
	}
}
