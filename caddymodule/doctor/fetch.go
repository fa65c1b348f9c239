package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// maxExamined bounds what is read of any answer.
const maxExamined = 16 << 20

// get fetches with a browser's request headers.
func (d *doctor) get(ctx context.Context, address string, header map[string]string) (*http.Response, []byte, error) {
	return d.do(ctx, http.MethodGet, address, header, "")
}

func (d *doctor) do(ctx context.Context, method, address string, header map[string]string, body string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("%q is not a URL: %w", address, err)
	}
	req.Header.Set("User-Agent", "caddy-webpush-doctor")
	req.Header.Set("Accept-Encoding", "identity")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxExamined))
	return resp, text, err
}

var asNavigation = map[string]string{
	"Accept":                    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
	"Sec-Fetch-Dest":            "document",
	"Sec-Fetch-Mode":            "navigate",
	"Sec-Fetch-Site":            "none",
	"Upgrade-Insecure-Requests": "1",
}

// findPage fetches the page; if the address has no scheme, by https, or by http if the server has
// only that.
func (d *doctor) findPage(ctx context.Context, address string) error {
	if strings.Contains(address, "://") {
		return d.fetchPage(ctx, address)
	}
	err := d.fetchPage(ctx, "https://"+address)
	if errors.Is(err, http.ErrSchemeMismatch) {
		return d.fetchPage(ctx, "http://"+address)
	}
	return err
}

func (d *doctor) fetchPage(ctx context.Context, address string) (err error) {
	d.page, d.body, err = d.get(ctx, address, asNavigation)
	if err != nil && d.distrusted(err) {
		d.page, d.body, err = d.get(ctx, address, asNavigation)
	}
	var unknown *net.DNSError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("there is no host %s: check the spelling, and the DNS settings of this machine", unknown.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("fetching the page: %w; no server listens there: start Caddy, or correct the host and port in the URL", err)
	case os.IsTimeout(err):
		return fmt.Errorf("fetching the page: %w; no answer came: check the address, and firewalls on the way", err)
	case err != nil:
		return fmt.Errorf("fetching the page: %w; check the URL, and that a browser on this machine opens it", err)
	}
	d.tags = findTags(d.body)
	return nil
}

// resolve resolves a URL in the page as a browser does.
func (d *doctor) resolve(ref string) string {
	base := d.page.Request.URL
	if b, err := base.Parse(d.tags.base); err == nil && d.tags.base != "" {
		base = b
	}
	u, err := base.Parse(ref)
	if err != nil {
		return ref
	}
	return u.String()
}

func (d *doctor) origin(path string) string {
	u := *d.page.Request.URL
	u.Path, u.RawQuery, u.Fragment, u.RawPath = path, "", "", ""
	return u.String()
}

// throughTo is the cure if a request does not reach webpush.
func throughTo(address, what string) string {
	return fmt.Sprintf("let requests for %s through to webpush: a matcher after webpush, and handle or handle_path around it, must let the %s's path in, or write webpush outside of them; logins, caches and redirects must leave it alone", address, what)
}
