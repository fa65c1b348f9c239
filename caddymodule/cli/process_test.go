package cli_test

import (
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

func TestMain(m *testing.M) { caddytest.Main(m) }

// process is a real Caddy of its own, with a data directory of its own.
type process struct{ *caddytest.Process }

func newProcess(t *testing.T, text, data string) *process {
	t.Helper()
	return &process{caddytest.New(t, text, data)}
}

// started is a running one, of Caddyfile.example where text is empty.
func started(t *testing.T, text string) *process {
	t.Helper()
	p := newProcess(t, text, t.TempDir())
	p.Start()
	return p
}
