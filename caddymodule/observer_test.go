package caddymodule_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

func init() { caddy.RegisterModule(new(recorder)) }

// registerDialer is not in init, because an error in TestAdapt lists the
// registered dialers.
var registerDialer = sync.OnceFunc(func() { caddy.RegisterModule(new(deafDialer)) })

// deafDialer is a webpush.dialer whose connections get no answer.
type deafDialer struct{}

func (*deafDialer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "webpush.dialer.test_deaf", New: func() caddy.Module { return new(deafDialer) }}
}

func (*deafDialer) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("no answer")
}

// recorder is an event handler that records events.
type recorder struct{}

var recorded struct {
	sync.Mutex
	events []caddy.Event
}

func (*recorder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.test_recorder", New: func() caddy.Module { return new(recorder) }}
}

func (*recorder) Handle(_ context.Context, e caddy.Event) error {
	recorded.Lock()
	defer recorded.Unlock()
	recorded.events = append(recorded.events, e)
	return nil
}

// gather returns what Prometheus reads of the running configuration.
func gather(t *testing.T, admin int) string {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", admin))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d, %v", resp.StatusCode, err)
	}
	var ours strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "caddy_webpush_") {
			ours.WriteString(line)
		}
	}
	return ours.String()
}

// newest returns the id of the site's last message.
func newest(t *testing.T, admin int) string {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/webpush/sites/a.example.com/messages?limit=1", admin))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list struct{ Messages []struct{ ID string } }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || len(list.Messages) != 1 {
		t.Fatalf("%v, %+v", err, list)
	}
	return list.Messages[0].ID
}

// TestMetricsAndEvents sends to a push service that can't be reached, and checks
// metrics and events.
func TestMetricsAndEvents(t *testing.T) {
	registerDialer()
	recorded.Lock()
	recorded.events = nil
	recorded.Unlock()
	s := newServer(t, site{upstream: upstream(t, nil)}, t.TempDir()+"/webpush.db")
	admin := caddytest.FreePort(t)
	config := strings.Replace(string(s.config), `"disabled":true`, fmt.Sprintf(`"listen":"127.0.0.1:%d"`, admin), 1)
	config = strings.Replace(config, `"webpush":{`, `"webpush":{"dialer":{"module":"test_deaf"},`, 1)
	config = string(with([]byte(config), `"events":{"subscriptions":[{"modules":["webpush"],"handlers":[{"handler":"test_recorder"}]}]}`))
	s.load([]byte(config))
	t.Cleanup(func() { _ = caddy.Stop() })
	s.mustSubscribe(1)
	s.mustSubscribe(2)
	operate := func(path, body string) {
		t.Helper()
		resp, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/webpush/%s", admin, path), "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			t.Fatalf("%s: %d", path, resp.StatusCode)
		}
	}
	operate("send", `{"site":"a.example.com","title":"x","ttl":1}`)
	operate("keys/rotate", "")
	// Cancelled before its time: no engine ever works on it.
	operate("send", `{"site":"a.example.com","title":"later","sendAt":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`"}`)
	operate("sites/a.example.com/messages/"+newest(t, admin)+"/cancel", "")
	var seen map[string]caddy.Event
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		seen = make(map[string]caddy.Event)
		recorded.Lock()
		for _, e := range recorded.events {
			seen[e.Name()] = e
		}
		recorded.Unlock()
		if len(seen) == 4 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("only these events came: %v", seen)
		}
	}
	started, finished, key := seen["message_started"], seen["message_finished"], seen["key_changed"]
	if started.Data["site"] != "a.example.com" || started.Data["audience"] != int64(2) || finished.Data["message"] != started.Data["message"] ||
		finished.Data["accepted"] != int64(0) || finished.Data["expired"].(int64)+finished.Data["failed"].(int64) != 2 || len(key.Data["key"].(string)) != 11 {
		t.Errorf("started %v\nfinished %v\nkey %v", started.Data, finished.Data, key.Data)
	}
	if cancelled := seen["message_cancelled"]; cancelled.Data["cancelled"] != int64(2) || cancelled.Data["message"] == started.Data["message"] {
		t.Errorf("cancelled %v", cancelled.Data)
	}
	text := gather(t, admin)
	for _, want := range []string{
		`caddy_webpush_pushes_total{class="later",reason="network",service="fcm"} 2`,
		`caddy_webpush_push_duration_seconds_count{service="fcm"} 2`,
		"caddy_webpush_pushes_in_flight 0", "caddy_webpush_messages_running 0", "caddy_webpush_queue_age_seconds 0",
		"caddy_webpush_subscriptions 2", "caddy_webpush_sites 1", "caddy_webpush_pages_total",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "example.com") {
		t.Errorf("a site is in a label:\n%s", text)
	}
	// The counters of another configuration start at zero, and the old one's
	// gauges are removed.
	s.load([]byte(strings.Replace(config, `"webpush":{`, `"webpush":{"contact":"mailto:ops@example.com",`, 1)))
	if text := gather(t, admin); strings.Contains(text, "caddy_webpush_pushes_total") || strings.Count(text, "\ncaddy_webpush_subscriptions ") != 1 {
		t.Errorf("after a reload:\n%s", text)
	}
}

// TestSubscribeLimit: the client is Caddy's client_ip, so that visitors behind a
// trusted proxy are separate, and untrusted headers have no effect.
func TestSubscribeLimit(t *testing.T) {
	s := newServer(t, site{upstream: upstream(t, nil), limit: "2"}, t.TempDir()+"/webpush.db")
	trusting := strings.Replace(string(s.config), `"routes":`, `"trusted_proxies":{"source":"static","ranges":["127.0.0.1/32"]},"routes":`, 1)
	t.Cleanup(func() { _ = caddy.Stop() })
	post := func(n int, client string) int {
		header := map[string]string{"X-Forwarded-For": client}
		for k, v := range caddytest.Posting {
			header[k] = v
		}
		resp, _ := s.request(http.MethodPost, "a.example.com", "/_webpush/subscribe", header, caddytest.Subscription(t, fmt.Sprintf("https://fcm.googleapis.com/fcm/send/%d", n)))
		return resp.StatusCode
	}
	for name, tt := range map[string]struct {
		config string
		want   [4]int
	}{
		"proxy":  {trusting, [4]int{201, 201, 429, 201}},
		"no one": {string(s.config), [4]int{201, 201, 429, 429}},
	} {
		s.load([]byte(tt.config))
		var got [4]int
		for i, client := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"} {
			got[i] = post(i, client)
		}
		if got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
