package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// client returns the client of the running Caddy's API. It writes the answers' JSON to
// raw, for --json, unless raw is nil.
func (c *command) client(raw *[]byte) *api.Client {
	client := &api.Client{HTTP: endpoint{c.admin}, Explain: explain}
	return client.KeepRaw(raw)
}

// admin returns the address of the admin endpoint.
func (c *command) admin() (string, error) {
	var raw []byte
	if c.address == "" && c.config != "" {
		var err error
		if raw, _, _, err = caddycmd.LoadConfig(c.config, c.adapter); err != nil {
			return "", fmt.Errorf("finding the admin endpoint: reading %s: %w", c.config, err)
		}
		var config struct {
			Admin struct {
				Disabled bool `json:"disabled"`
			} `json:"admin"`
		}
		if err := json.Unmarshal(raw, &config); err == nil && config.Admin.Disabled {
			return "", fmt.Errorf(`%s has "admin off", and this command talks to Caddy's admin endpoint: take the line out, or write admin localhost:2019 or admin unix//run/caddy/admin.sock in its place`, c.config)
		}
	}
	addr, err := caddycmd.DetermineAdminAPIAddress(c.address, raw, c.config, c.adapter)
	if err != nil {
		return "", fmt.Errorf("finding the admin endpoint: %w", err)
	}
	return addr, nil
}

// endpoint is Caddy's admin endpoint. It sends requests to an address in one of Caddy's
// forms, such as localhost:2019 or unix//run/caddy/admin.sock. It ignores the requests' hosts.
type endpoint struct {
	address func() (string, error)
}

// endpointError is why a request could not be sent. Its text is complete.
type endpointError struct{ error }

func (e endpointError) Unwrap() error { return e.error }

// Do implements api.Doer.
func (e endpoint) Do(r *http.Request) (*http.Response, error) {
	addr, err := e.address()
	if err != nil {
		return nil, endpointError{err}
	}
	resp, err := sendTo(addr, r)
	if err != nil {
		return nil, endpointError{fmt.Errorf(`no Caddy answers at %s; is it running, is that its admin address (--address), and is there no "admin off" in its Caddyfile? %w`, addr, err)}
	}
	return resp, nil
}

// sendTo sends a request as Caddy's own commands do: the admin endpoint compares Host and
// Origin with its address. caddycmd.AdminAPIRequest cannot be used here: it has no context,
// and for a failed request it returns only a text.
func sendTo(addr string, r *http.Request) (*http.Response, error) {
	at, err := caddy.ParseNetworkAddress(addr)
	if err != nil || at.PortRangeSize() > 1 {
		return nil, fmt.Errorf("invalid admin address %s: %w", addr, err)
	}
	r = r.Clone(r.Context())
	host := "127.0.0.1" // as the admin endpoint wants it of sockets
	if at.IsUnixNetwork() {
		at.Host, _, _ = strings.Cut(at.Host, "|") // the rest is the socket's permissions
	} else if !at.IsFdNetwork() {
		host = at.JoinHostPort(0)
		r.Header.Set("Origin", "http://"+host)
	}
	r.URL.Scheme, r.URL.Host, r.Host = "http", host, host
	client := http.Client{Transport: &http.Transport{
		// A connection serves one request: a reload of the configuration ends those of the endpoint.
		IdleConnTimeout: time.Second,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, at.Network, at.JoinHostPort(0))
		},
	}}
	resp, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("performing request: %w", err)
	}
	return resp, nil
}

// explain puts the error of a request into the words of the command line.
func explain(err error) error {
	if sending, ok := errors.AsType[endpointError](err); ok {
		return sending
	}
	p, ok := errors.AsType[*api.Problem](err)
	switch {
	case !ok:
		return err
	case p.Detail == "":
		return errors.New(p.Title)
	}
	if flag := flagOf[p.Field]; flag != "" {
		return errors.New(flag + strings.TrimPrefix(p.Detail, p.Field))
	}
	return errors.New(p.Detail)
}

// flagOf names the flags whose fields have other names in the API.
var flagOf = map[string]string{
	"site": "--site", "sendAt": "--at", "subscription": "--to", "key": "--key", "format": "--format", "rate": "--rate", "ttl": "--ttl",
	"Idempotency-Key": "--idempotency-key", "requireInteraction": "--require-interaction", "limit": "--limit", "where": "--where",
	"publicKey": "the public key", "privateKey": "the private key",
}
