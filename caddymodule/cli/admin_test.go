package cli

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// TestEndpoint: requests reach the admin endpoint at addresses of all forms, with the Host
// and the Origin that it checks; a socket has no Origin.
func TestEndpoint(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "a.sock")
	for _, tt := range []struct{ network, listen, address, host, origin string }{
		{"tcp", "127.0.0.1:0", "", "", ""},
		{"tcp", "127.0.0.1:0", "tcp/", "", ""},
		{"unix", socket, "unix/" + socket, "127.0.0.1", "none"},
		{"unix", socket, "unix/" + socket + "|0222", "127.0.0.1", "none"},
	} {
		listener, err := net.Listen(tt.network, tt.listen)
		if err != nil {
			t.Fatal(err)
		}
		if tt.network == "tcp" {
			tt.host = listener.Addr().String()
			tt.address, tt.origin = tt.address+tt.host, "http://"+tt.host
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			origin := r.Header.Get("Origin")
			if origin == "" {
				origin = "none"
			}
			if r.Host != tt.host || origin != tt.origin || r.URL.Path != "/webpush/keys" || r.URL.RawQuery != "count=true" {
				t.Errorf("%s: %s %s %s", tt.address, r.Host, origin, r.URL)
			}
			_, _ = w.Write([]byte(`{ "keys": [{"id": "k"}] }`))
		}))
		server.Listener = listener
		server.Start()
		var raw []byte
		c := &command{address: tt.address}
		list, err := c.client(&raw).ListKeys(t.Context(), true)
		if err != nil || len(list.Keys) != 1 || list.Keys[0].ID != "k" || string(raw) != `{ "keys": [{"id": "k"}] }` {
			t.Errorf("%s: %+v, %s, %v", tt.address, list, raw, err)
		}
		server.Close()
		if _, err := c.client(nil).ListKeys(t.Context(), true); err == nil || !strings.HasPrefix(err.Error(), "no Caddy answers at "+tt.address+"; ") {
			t.Errorf("%s without a server: %v", tt.address, err)
		}
	}
	c := &command{address: "localhost:2019-2021"}
	if _, err := c.client(nil).ListKeys(t.Context(), true); err == nil || !strings.Contains(err.Error(), "invalid admin address localhost:2019-2021") {
		t.Errorf("several ports: %v", err)
	}
}

// TestExplain: errors name flags instead of the API's fields, and have the status of
// answers that are not the API's.
func TestExplain(t *testing.T) {
	for _, tt := range []struct {
		status      int
		media, text string
		want        string
	}{
		{400, "application/problem+json", problemJSON(t, api.FieldProblem("sendAt", "is in the past")), "--at is in the past"},
		{400, "application/problem+json", problemJSON(t, api.FieldProblem("title", "is missing")), "title is missing"},
		{404, "application/problem+json", problemJSON(t, api.NewProblem(404, "")), "Not Found"},
		{403, "application/json", `{"error":"origin not allowed"}`, "origin not allowed"},
		{502, "text/plain", "bad gateway\n", "the server answered 502: bad gateway"},
		{200, "text/html", "<html>", "is it a Caddy with the webpush module?"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", tt.media)
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.text))
		}))
		c := &command{address: server.Listener.Addr().String()}
		_, err := c.client(nil).ListSites(t.Context())
		if err == nil || err.Error() != tt.want && (tt.status != 200 || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%d %s: %v", tt.status, tt.text, err)
		}
		server.Close()
	}
}

func problemJSON(t *testing.T, p *api.Problem) string {
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
