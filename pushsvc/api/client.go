package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Client sends requests to the operator's API of a server. An error answer of the server is
// returned as a *Problem.
type Client struct {
	// Server is the address of the API, such as "http://localhost:2019". It is empty if HTTP
	// knows the server.
	Server string
	// HTTP sends the requests; nil for http.DefaultClient.
	HTTP Doer
	// Explain turns the error of a request that failed into the one that the method
	// returns, such as into the words of a command line; nil leaves it as it is.
	Explain func(error) error

	raw *[]byte
}

// KeepRaw returns a client that stores the bytes of each JSON answer in raw, as the server
// sent them. A failed request leaves raw as it is.
func (c *Client) KeepRaw(raw *[]byte) *Client {
	keeps := *c
	keeps.raw = raw
	return &keeps
}

// Doer sends requests; *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// maxProblem is how much of an error answer is read.
const maxProblem = 1 << 20

// call is one request of a route.
type call struct {
	route  string
	path   []string // the values for the braces of the route's path
	query  url.Values
	header http.Header
	media  string // of the body; empty is JSON
	body   io.Reader
}

var routesByName = func() map[string]*Route {
	m := map[string]*Route{}
	for i := range Routes {
		m[Routes[i].Name] = &Routes[i]
	}
	return m
}()

var braces = regexp.MustCompile(`\{[a-z]+\}`)

// open sends a request, and returns the answer for the caller to read and close. An error answer is
// returned as a *Problem, unless Explain returns another error.
func (c *Client) open(ctx context.Context, in call) (*http.Response, error) {
	resp, err := c.request(ctx, in)
	if err != nil && c.Explain != nil {
		err = c.Explain(err)
	}
	return resp, err
}

func (c *Client) request(ctx context.Context, in call) (*http.Response, error) {
	route := routesByName[in.route]
	values := in.path
	path := braces.ReplaceAllStringFunc(route.Path, func(string) string {
		value := values[0]
		values = values[1:]
		return url.PathEscape(value)
	})
	if len(in.query) > 0 {
		path += "?" + in.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, route.Method, strings.TrimSuffix(c.Server, "/")+path, in.body)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", route.Name, err)
	}
	for name, values := range in.header {
		r.Header[name] = values
	}
	switch {
	case in.media != "":
		r.Header.Set("Content-Type", in.media)
	case in.body != nil:
		r.Header.Set("Content-Type", "application/json")
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readProblem(resp)
}

// readProblem reads an error answer. One that is not ours becomes a problem of the same status: with
// Caddy's own error, or the text and the status.
func readProblem(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil {
		return fmt.Errorf("the server answered %s, and broke off: %w", resp.Status, err)
	}
	p := NewProblem(resp.StatusCode, "")
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") && json.Unmarshal(text, p) == nil {
		p.Status = resp.StatusCode
		return p
	}
	var caddy struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(text, &caddy) == nil && caddy.Error != "" {
		p.Detail = caddy.Error
	} else {
		p.Detail = fmt.Sprintf("the server answered %d: %s", resp.StatusCode, bytes.TrimSpace(text))
	}
	return p
}

// answer sends a request and decodes the answer.
func answer[T any](ctx context.Context, c *Client, in call) (out T, err error) {
	resp, err := c.open(ctx, in)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return out, nil
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return out, fmt.Errorf("reading the answer: %w", err)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("the server answered something that is not ours; is it a Caddy with the webpush module? %w", err)
	}
	if c.raw != nil {
		*c.raw = raw
	}
	return out, nil
}

// nothingIn is for requests whose answer has no body.
type nothingIn struct{}

func discard(_ nothingIn, err error) error { return err }

// document is a body of JSON. Values of this package always encode.
func document(v any) io.Reader {
	text, err := json.Marshal(v)
	if err != nil {
		return failingReader{fmt.Errorf("encoding the request: %w", err)}
	}
	return bytes.NewReader(text)
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// Page is where a part of a list begins and how long it is. The zero value is the first page.
type Page struct {
	Cursor string
	Limit  *int // nil for the server's own
}

func (p Page) query() url.Values {
	q := url.Values{}
	if p.Cursor != "" {
		q.Set("cursor", p.Cursor)
	}
	if p.Limit != nil {
		q.Set("limit", strconv.Itoa(*p.Limit))
	}
	return q
}

// expecting returns the header of a write that replaces a revision.
func expecting(r pushsvc.Revision) http.Header {
	if r == pushsvc.AnyRevision {
		return nil
	}
	return http.Header{"If-Match": {strconv.Quote(strconv.FormatInt(int64(r), 10))}}
}

func flag(q url.Values, name string, set bool) url.Values {
	if set {
		if q == nil {
			q = url.Values{}
		}
		q.Set(name, "true")
	}
	return q
}
