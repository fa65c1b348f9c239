package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/cli"
)

func init() { caddycmd.RegisterCommand(cli.Command(storeFile)) }

// storeFile is where the bbolt store with this path in the configuration is.
func storeFile(configured string) (string, error) {
	b := &BoltStorage{Path: configured}
	if err := b.Provision(caddy.Context{}); err != nil {
		return "", err
	}
	return b.path, nil
}
