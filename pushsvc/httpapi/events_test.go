package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

func (f *fixture) secret() []byte {
	f.Helper()
	secret, err := f.store.Secret(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	return secret
}

// report is a beacon with one event.
func report(kind, message, token string) string {
	return fmt.Sprintf(`{"events":[{"type":%q,"message":%q,"token":%q,"time":1}]}`, kind, message, token)
}

// flip changes one character of a token's MAC.
func flip(token string) string {
	other := "A"
	if token[6] == 'A' {
		other = "B"
	}
	return token[:6] + other + token[7:]
}

// message sends a message to a site and returns its id.
func (f *fixture) message(site string) string {
	f.Helper()
	a := f.do("POST", f.operator.URL+"/webpush/send", fmt.Sprintf(`{"site":%q,"title":"x"}`, site), "Content-Type", "application/json")
	var m struct{ ID string }
	if a.status != http.StatusAccepted || json.Unmarshal([]byte(a.body), &m) != nil {
		f.Fatalf("send: %d %s", a.status, a.body)
	}
	return m.ID
}

// receipts are a message's counts: shown, clicked, closed.
func (f *fixture) receipts(site, id string) [3]int64 {
	f.Helper()
	m, err := f.store.Message(f.Context(), site, id)
	if err != nil {
		f.Fatal(err)
	}
	return [3]int64{m.Progress.Shown, m.Progress.Clicked, m.Progress.Closed}
}

func TestEvents(t *testing.T) {
	f := newFixture(t)
	_, firstID := f.subscribe(siteA, 1)
	_, secondID := f.subscribe(siteA, 2)
	_, stranger := f.subscribe(siteB, 3)
	mine, other, theirs := f.message(siteA), f.message(siteA), f.message(siteB)
	token := func(site, message, id string) string {
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return pushsvc.ReceiptToken(f.secret(), site, message, pushsvc.SubscriptionID(n))
	}
	first, second := token(siteA, mine, firstID), token(siteA, mine, secondID)
	for _, tt := range []struct {
		name, site, body string
		want             [3]int64
	}{
		{"shown", siteA, report("shown", mine, first), [3]int64{1, 0, 0}},
		{"shown again", siteA, report("shown", mine, first), [3]int64{1, 0, 0}},
		{"shown to another", siteA, report("shown", mine, second), [3]int64{2, 0, 0}},
		{"clicked, twice in one beacon", siteA, strings.Replace(report("clicked", mine, first), "]", `,{"type":"clicked","message":"`+mine+`","token":"`+first+`","action":"buy"}]`, 1), [3]int64{2, 1, 0}},
		{"closed", siteA, report("closed", mine, second), [3]int64{2, 1, 1}},
		{"forged", siteA, report("clicked", mine, flip(second)), [3]int64{2, 1, 1}},
		{"made up", siteA, report("clicked", mine, "AAAAAAAAAAAAAAA"), [3]int64{2, 1, 1}},
		{"no token", siteA, report("clicked", mine, ""), [3]int64{2, 1, 1}},
		{"of another message", siteA, report("clicked", mine, token(siteA, other, secondID)), [3]int64{2, 1, 1}},
		{"posted to another site", siteB, report("clicked", mine, second), [3]int64{2, 1, 1}},
		{"of another site", siteA, report("clicked", mine, token(siteB, mine, secondID)), [3]int64{2, 1, 1}},
		{"another site's message", siteA, report("clicked", theirs, token(siteB, theirs, secondID)), [3]int64{2, 1, 1}},
		{"unknown message", siteA, report("clicked", "x", token(siteA, "x", secondID)), [3]int64{2, 1, 1}},
		{"nothing", siteA, `{"events":[]}`, [3]int64{2, 1, 1}},
		{"good among forged", siteA, strings.Replace(report("clicked", mine, second), "[", `[{"type":"shown","message":"m","token":"t"},`, 1), [3]int64{2, 2, 1}},
	} {
		if a := f.post(tt.site, "events", tt.body); a.status != http.StatusNoContent || a.body != "" {
			t.Errorf("%s: %d %s", tt.name, a.status, a.body)
		}
		if got := f.receipts(siteA, mine); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := f.receipts(siteB, theirs); got != [3]int64{} {
		t.Errorf("site B counts %v", got)
	}
	f.post(siteB, "events", report("closed", theirs, token(siteB, theirs, stranger)))
	if got := f.receipts(siteB, theirs); got != [3]int64{0, 0, 1} {
		t.Errorf("site B counts %v of its own", got)
	}
	a := f.do("POST", f.public.URL+"/"+siteA+"/events", report("shown", other, token(siteA, other, firstID)), "Content-Type", "text/plain;charset=UTF-8")
	if a.status != 204 || f.receipts(siteA, other) != [3]int64{1, 0, 0} {
		t.Errorf("a beacon as text: %d, %v", a.status, f.receipts(siteA, other))
	}
}

func TestEventsBad(t *testing.T) {
	f := newFixture(t)
	many := `{"events":[` + strings.Repeat(`{"type":"shown"},`, service.MaxReports) + `{"type":"shown"}]}`
	for _, tt := range []struct {
		name, body, field string
		status            int
	}{
		{"unknown type", report("opened", "m", "t"), "events[0].type", 400},
		{"no type", `{"events":[{}]}`, "events[0].type", 400},
		{"events object", `{"events":{}}`, "events", 400},
		{"time text", `{"events":[{"type":"shown","time":"now"}]}`, "events[0].time", 400},
		{"too many", many, "events", 400},
		{"not JSON", `events`, "", 400},
		{"twice", `{"events":[],"events":[]}`, "events", 400},
		{"twice in a batch", `{"batch":"` + random(1) + `","events":[],"sent":1,"sent":2}`, "sent", 400},
		{"large", `{"events":[],"x":"` + strings.Repeat("x", httpapi.MaxEventsBody) + `"}`, "", 413},
	} {
		a := f.post(siteA, "events", tt.body)
		if p := a.problem(t); a.status != tt.status || p.Field != tt.field {
			t.Errorf("%s: %d %s; want %d, field %q", tt.name, a.status, a.body, tt.status, tt.field)
		}
	}
}

// TestCrossSite is the matrix of who may post, by the request's headers from the browser.
func TestCrossSite(t *testing.T) {
	f := newFixture(t)
	secure := httptest.NewTLSServer(f.publicHandler())
	t.Cleanup(secure.Close)
	plain, tls := f.public.URL, secure.URL
	downgrade := strings.Replace(tls, "https:", "http:", 1)
	for _, tt := range []struct {
		name, base, fetchSite, origin string
		allowed                       bool
	}{
		{"same origin", tls, "same-origin", tls, true},
		{"typed in", tls, "none", "", true},
		{"not a browser", tls, "", "", true},
		{"old browser, same origin", tls, "", tls, true},
		{"same origin, plain", plain, "same-origin", plain, true},
		{"old browser, same origin, plain", plain, "", plain, true},
		{"same site", tls, "same-site", "https://other.example", false},
		{"cross site", tls, "cross-site", "https://evil.example", false},
		{"cross site without origin", tls, "cross-site", "", false},
		{"old browser, foreign origin", tls, "", "https://evil.example", false},
		{"old browser, null origin", tls, "", "null", false},
		{"null origin", tls, "cross-site", "null", false},
		{"foreign origin, plain", plain, "", "http://evil.example", false},
		{"another port", plain, "", "http://127.0.0.1:1", false},
		{"unencrypted twin", tls, "", downgrade, false},
		{"unencrypted twin, new browser", tls, "cross-site", downgrade, false},
		{"unknown value", tls, "whatever", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for action, body := range map[string]string{
				"subscribe": newBrowser(t, 1).json(""), "unsubscribe": newBrowser(t, 2).proof(), "events": `{"events":[]}`,
			} {
				r, err := http.NewRequestWithContext(t.Context(), "POST", tt.base+"/"+siteA+"/"+action, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				for name, value := range map[string]string{"Sec-Fetch-Site": tt.fetchSite, "Origin": tt.origin} {
					if value != "" {
						r.Header.Set(name, value)
					}
				}
				resp, err := secure.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if text, _ := io.ReadAll(resp.Body); (resp.StatusCode == 403) == tt.allowed || resp.StatusCode >= 400 != (resp.StatusCode == 403) {
					t.Errorf("%s: %d %s", action, resp.StatusCode, text)
				}
			}
			subs := f.subscriptions(siteA)
			if (len(subs) == 1) != tt.allowed {
				t.Errorf("%d stored", len(subs))
			}
			for _, s := range subs {
				if err := f.store.DeleteSubscription(t.Context(), siteA, s.ID); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestSlowBody: a slow body is cut off, whatever the rest of the request looks like.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	public, operator := f.public.Listener.Addr().String(), f.operator.Listener.Addr().String()
	var wg sync.WaitGroup // all at once: they mostly wait
	for _, tt := range []struct {
		name, address, path, header string
		want                        int
	}{
		{"foreign", public, "/a.example/subscribe", "Origin: https://evil.example\r\nContent-Length: 8000\r\n", 403},
		{"dripping", public, "/a.example/subscribe", "Content-Type: application/json\r\nContent-Length: 8000\r\n", 408},
		{"chunked", public, "/a.example/events", "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n", 408},
		{"wrong type", public, "/a.example/subscribe", "Content-Type: text/html\r\nContent-Length: 8000\r\n", 415},
		{"large", public, "/a.example/unsubscribe", "Content-Type: application/json\r\nContent-Length: 200000\r\n", 413},
		{"unknown", public, "/a.example/x", "Content-Length: 8000\r\n", 404},
		{"operator", operator, "/webpush/send", "Content-Type: application/json\r\nContent-Length: 8000\r\n", 408},
		{"operator, wrong type", operator, "/webpush/send", "Content-Length: 8000\r\n", 415},
	} {
		wg.Go(func() {
			if err := drip(t.Context(), tt.address, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n", tt.path, tt.header), tt.want); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		})
	}
	wg.Wait()
}

// drip sends a header and then a body in small pieces, and waits for the wanted status and the end
// of the connection.
func drip(ctx context.Context, address, header string, want int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := io.WriteString(conn, header); err != nil {
		return err
	}
	go func() {
		for ctx.Err() == nil {
			if _, err := io.WriteString(conn, "1\r\n \r\n"); err != nil {
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
	}()
	_ = conn.SetReadDeadline(time.Now().Add(9 * time.Second))
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("status %d, want %d", resp.StatusCode, want)
	}
	var timeout net.Error
	if _, err := io.Copy(io.Discard, reader); errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("the connection stays open")
	}
	return nil
}
