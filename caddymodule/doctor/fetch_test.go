package doctor_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/doctor"
)

// TestClosedPort: the error of a page that no server answers for names the cure.
func TestClosedPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := doctor.Examine(t.Context(), http.DefaultTransport, "http://"+address); err == nil || !strings.Contains(err.Error(), "start Caddy, or correct the host and port") {
		t.Errorf("%v", err)
	}
}
