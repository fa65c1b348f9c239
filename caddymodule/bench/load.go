//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// The content codings of answers.
const (
	asIs     = "as is"
	gzipped  = "gzip"
	zstdized = "zstd"
)

// navigation returns the request for a page with a browser's headers. They accept zstd, encode's first
// choice, unless the coding is gzip.
func navigation(host, path, coding string) []byte {
	accept := "gzip, deflate, br, zstd"
	if coding == gzipped {
		accept = "gzip, deflate"
	}
	return []byte("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" +
		"Connection: keep-alive\r\nCache-Control: max-age=0\r\n" +
		"Sec-Ch-Ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\nSec-Ch-Ua-Mobile: ?0\r\nSec-Ch-Ua-Platform: \"Linux\"\r\n" +
		"Upgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
		"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n" +
		"Accept-Encoding: " + accept + "\r\nAccept-Language: en-GB,en;q=0.9\r\n" +
		"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n")
}

// connection is kept between requests.
type connection struct {
	net.Conn
	br *bufio.Reader
}

// pool is the open connections to one server.
type pool struct {
	address string
	open    []*connection
}

func newPool(address string) *pool { return &pool{address: address} }

// resize changes the number of connections to n.
func (p *pool) resize(n int) error {
	for len(p.open) > n {
		_ = p.open[len(p.open)-1].Close()
		p.open = p.open[:len(p.open)-1]
	}
	for len(p.open) < n {
		c, err := net.DialTimeout("tcp", p.address, 5*time.Second)
		if err != nil {
			return fmt.Errorf("connecting to the proxy: %w", err)
		}
		p.open = append(p.open, &connection{c, bufio.NewReaderSize(c, 32<<10)})
	}
	return nil
}

func (p *pool) close() { _ = p.resize(0) }

// answer is the result of one request.
type answer struct {
	firstByte time.Duration
	size      int64 // of the body as sent
	header    http.Header
}

// requestTimeout is far longer than a request takes on a busy machine.
const requestTimeout = 30 * time.Second

// get sends the request and reads the answer's body into out.
func (c *connection) get(request []byte, out io.Writer) (answer, error) {
	return c.do(request, out, http.StatusOK)
}

// do sends any request; the answer must have the status.
func (c *connection) do(request []byte, out io.Writer, status int) (answer, error) {
	started := time.Now()
	if err := c.SetDeadline(started.Add(requestTimeout)); err != nil {
		return answer{}, fmt.Errorf("setting a deadline: %w", err)
	}
	if _, err := c.Write(request); err != nil {
		return answer{}, fmt.Errorf("sending a request: %w", err)
	}
	if _, err := c.br.Peek(1); err != nil {
		return answer{}, fmt.Errorf("waiting for an answer: %w", err)
	}
	a := answer{firstByte: time.Since(started)}
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return answer{}, fmt.Errorf("reading an answer: %w", err)
	}
	a.header = resp.Header
	if resp.StatusCode != status {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		_ = resp.Body.Close()
		return answer{}, fmt.Errorf("status %d: %s", resp.StatusCode, text)
	}
	a.size, err = io.Copy(out, resp.Body)
	_ = resp.Body.Close()
	switch {
	case err != nil:
		return answer{}, fmt.Errorf("reading a body: %w", err)
	case resp.Close:
		return answer{}, errors.New("the proxy wants to close the connection")
	}
	return a, nil
}

// turn is the result of one slice of load.
type turn struct {
	requests int
	first    []time.Duration
}

// load keeps n connections busy with the request until d has passed or, if each is not 0, until every
// connection has made that many. Requests that have begun are finished: the count is exact.
func (p *pool) load(request []byte, n int, d time.Duration, each int) (turn, error) {
	if err := p.resize(max(n, len(p.open))); err != nil {
		return turn{}, err
	}
	until := time.Now().Add(d)
	results := make([]turn, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for k := 0; each > 0 && k < each || each == 0 && time.Now().Before(until); k++ {
				a, err := p.open[i].get(request, io.Discard)
				if err != nil {
					errs[i] = err
					return
				}
				results[i].requests++
				results[i].first = append(results[i].first, a.firstByte)
			}
		})
	}
	wg.Wait()
	var sum turn
	for _, r := range results {
		sum.requests += r.requests
		sum.first = append(sum.first, r.first...)
	}
	if err := errors.Join(errs...); err != nil {
		return sum, err
	}
	if sum.requests == 0 {
		return sum, errors.New("no request was made")
	}
	return sum, nil
}
