//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// streamPause is the upstream's pause between a streamed page's head and its body.
const streamPause = 40 * time.Millisecond

// serveUpstream serves the pages on loopback until ctx ends or standard output
// is closed, and prints its address first. /name is the page with its length,
// /stream/name sends its first half, waits, and sends the rest in chunks.
func serveUpstream(ctx context.Context, args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet(upstreamArgument, flag.ContinueOnError)
	dir := fs.String("pages", "", "")
	sizes := fs.String("sizes", "", "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	o, err := parseOptions([]string{"-sizes", *sizes}, io.Discard)
	if err != nil {
		return err
	}
	pages, err := loadPages(*dir, o.sizes)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	srv := &http.Server{Handler: newUpstream(pages), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	fmt.Fprintln(stdout, l.Addr())
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// collectPath is where the site itself accepts posts: it reads them and answers 204.
const collectPath = "/collect"

// newUpstream answers like an application behind a proxy: validators, a policy for caches, no compression.
func newUpstream(pages []page) http.Handler {
	byName := make(map[string]page, len(pages))
	for _, p := range pages {
		byName[p.name] = p
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == collectPath {
			if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 64<<10)); err != nil {
				http.Error(w, "the body can't be read", http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusNoContent)
			return
		}
		name, stream := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, "/"), "stream/")
		p, ok := byName[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "private, max-age=0, must-revalidate")
		h.Set("Vary", "Cookie")
		h.Set("X-Frame-Options", "SAMEORIGIN")
		h.Set("X-Content-Type-Options", "nosniff")
		if !stream {
			h.Set("ETag", `"`+strconv.Itoa(len(p.body))+`-1"`)
			h.Set("Last-Modified", "Mon, 06 Jan 2025 08:00:00 GMT")
			h.Set("Content-Length", strconv.Itoa(len(p.body)))
			_, _ = w.Write(p.body)
			return
		}
		half := len(p.body) / 2
		_, _ = w.Write(p.body[:half])
		_ = http.NewResponseController(w).Flush()
		time.Sleep(streamPause)
		_, _ = w.Write(p.body[half:])
	})
}
