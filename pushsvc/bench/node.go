//go:build linux

package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
)

// nodeFiles are the program that sends with web-push and its dependencies, pinned.
//
//go:embed node/package.json node/package-lock.json node/send.mjs
var nodeFiles embed.FS

// nodeSender is node with web-push, ready to send.
type nodeSender struct {
	program string
	version string
	dir     string // of the script
	task    string // file
}

// nodeWarmup is how many messages node sends before the measurement, to warm up its compiler.
const nodeWarmup = 500

// prepareNode installs web-push in a folder. Its error is why node is left out.
func prepareNode(ctx context.Context, o options, dir string) (*nodeSender, error) {
	if o.node == "" {
		return nil, errors.New("not wanted")
	}
	program, err := exec.LookPath(o.node)
	if err != nil {
		return nil, fmt.Errorf("no node here: %w", err)
	}
	npm, err := exec.LookPath(o.npm)
	if err != nil {
		return nil, fmt.Errorf("no npm here: %w", err)
	}
	entries, err := nodeFiles.ReadDir("node")
	if err != nil {
		return nil, fmt.Errorf("reading the files for node: %w", err)
	}
	for _, e := range entries {
		b, err := nodeFiles.ReadFile(path.Join("node", e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, e.Name()), b, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("writing the files for node: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1", "--loglevel=error")
	install.Dir = dir
	install.WaitDelay = time.Second
	if out, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm ci: %w: %.300s", err, out)
	}
	version, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("asking node for its version: %w", err)
	}
	return &nodeSender{program: program, version: strings.TrimSpace(string(version)), dir: dir, task: filepath.Join(dir, "task.json")}, nil
}

// writeTask writes the subscribers of a store for node: reading the store is not part of the comparison.
func (s *nodeSender) writeTask(ctx context.Context, t task) error {
	store, err := boltstore.Open(ctx, t.Store, boltstore.Options{})
	if err != nil {
		return fmt.Errorf("opening the store for node: %w", err)
	}
	defer store.Close()
	key, err := currentKey(ctx, store)
	if err != nil {
		return err
	}
	c := content()
	t.Warmup = min(nodeWarmup, t.N/2)
	t.Public, t.Private, t.TTL = key.Public, key.Private.Reveal(), c.TTLSeconds()
	t.Payload = string(payloadFor(1<<20, pushsvc.Message{Site: site, ID: exampleID}))
	if err := readSubscribers(ctx, store, t.N, func(s *pushsvc.Subscription) error {
		t.Subscribers = append(t.Subscribers, asPeers(s))
		return nil
	}); err != nil {
		return err
	}
	b, err := json.Marshal(t)
	if err == nil {
		err = os.WriteFile(s.task, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing the task for node: %w", err)
	}
	return nil
}

func (s *nodeSender) start(ctx context.Context) (*process, error) {
	command := exec.CommandContext(ctx, s.program, "send.mjs", s.task)
	command.Dir = s.dir
	return start("node", command)
}
