// Command caddy is Caddy with the webpush module built in, the same program
// that xcaddy would build.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-webpush/caddy-webpush/caddymodule"
)

func main() { caddycmd.Main() }
