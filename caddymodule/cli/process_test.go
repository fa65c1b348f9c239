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
