//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// profile writes CPU and allocation profiles of every Caddy, except control processes, under load with each
// page. Compare two with
//
//	go tool pprof -top -diff_base reverse_proxy-30kB.cpu webpush-30kB.cpu
//
// (profiles count time, not requests: see the printed numbers of requests).
func (b *bench) profile(ctx context.Context) error {
	if err := os.MkdirAll(b.options.profiles, 0o755); err != nil {
		return fmt.Errorf("making the profiles' folder: %w", err)
	}
	for _, c := range b.comparisons {
		if !c.hasMetrics {
			continue
		}
		for _, p := range b.pages {
			for _, name := range []string{c.base, c.subject} {
				if ctx.Err() != nil {
					return errors.New("interrupted")
				}
				b.say("profiling %s, %s, %s", name, c.coding, p.name)
				n := b.connections[cell{p.name, c.coding, c.base}]
				if err := b.profileOne(b.fleet.servers[name], p, c.coding, n); err != nil {
					return fmt.Errorf("profiling %s: %w", name, err)
				}
			}
		}
	}
	return nil
}

// profileKinds are file name endings and the admin endpoint's paths.
var profileKinds = map[string]string{"cpu": "profile", "allocs": "allocs"}

// profileOne takes all kinds of profiles at the same time.
func (b *bench) profileOne(s *server, p page, coding string, connections int) error {
	const seconds = 10
	type reply struct {
		kind string
		raw  []byte
		err  error
	}
	done := make(chan reply, len(profileKinds))
	for kind, path := range profileKinds {
		go func() {
			raw, err := s.ask(fmt.Sprintf("/debug/pprof/%s?seconds=%d", path, seconds))
			done <- reply{kind, raw, err}
		}()
	}
	t, err := s.pool.load(navigation(s.address, "/"+p.name, coding), connections, seconds*time.Second, 0)
	for range profileKinds {
		r := <-done
		if r.err != nil {
			err = errors.Join(err, r.err)
			continue
		}
		file := filepath.Join(b.options.profiles, fmt.Sprintf("%s-%s-%s.%s", fileName(s.name), fileName(coding), p.name, r.kind))
		err = errors.Join(err, os.WriteFile(file, r.raw, 0o644))
		b.profiles = append(b.profiles, fmt.Sprintf("%s (%d requests)", file, t.requests))
	}
	return err
}
