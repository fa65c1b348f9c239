package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
)

func init() {
	caddy.RegisterModule(new(BoltStorage))
}

// StoreProvider is a module of the namespace webpush.storage: it knows a store's
// place and how to open it.
type StoreProvider interface {
	// StoreKey identifies the store: two configs with the same store return the
	// same key. It must not contain secrets.
	StoreKey() string
	// OpenStore opens the store. It is called once for all configs with the same
	// key, and never while the store is open.
	OpenStore(ctx context.Context) (store.Store, error)
}

// stores has the open stores of the process, by StoreKey. It must outlive
// configs: two overlap during each reload, and a bbolt file can be opened once.
var stores = caddy.NewUsagePool()

// pooledStore closes the store when the last config has released it. Operators'
// settings are in memory once per store, so that a reload misses none.
type pooledStore struct {
	store.Store
	live *service.Live
}

// Destruct implements caddy.Destructor.
func (p pooledStore) Destruct() error { return p.Close() }

// acquireStore takes the provider's store from the pool, and opens it if it is
// not open. Each acquireStore needs one releaseStore.
func acquireStore(ctx context.Context, p StoreProvider) (pooledStore, error) {
	v, _, err := stores.LoadOrNew(p.StoreKey(), func() (caddy.Destructor, error) {
		s, err := p.OpenStore(ctx)
		if err != nil {
			return nil, err
		}
		return pooledStore{s, service.NewLive(s, time.Now, new(liveLog).report)}, nil
	})
	if err != nil {
		return pooledStore{}, err
	}
	return v.(pooledStore), nil
}

func releaseStore(p StoreProvider) error {
	_, err := stores.Delete(p.StoreKey())
	return err
}

// BoltStorage keeps all data in one bbolt file: subscriptions, messages and the
// VAPID keys. So a copy of the file is a complete backup. It is the default
// storage.
type BoltStorage struct {
	// The path of the database file; placeholders such as {env.HOME} are
	// replaced. The folder is made if needed. Default: webpush/webpush.db in
	// Caddy's data directory.
	Path string `json:"path,omitempty"`

	path string
}

// CaddyModule returns the Caddy module information.
func (*BoltStorage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "webpush.storage.bbolt",
		New: func() caddy.Module { return new(BoltStorage) },
	}
}

// Provision resolves the path. It opens nothing.
func (b *BoltStorage) Provision(caddy.Context) error {
	path, err := replaced("storage path", b.Path)
	if err != nil {
		return err
	}
	if path == "" {
		path = filepath.Join(caddy.AppDataDir(), "webpush", "webpush.db")
	}
	path, err = canonicalPath(path)
	if err != nil {
		return fmt.Errorf("storage path %q: %w", b.Path, err)
	}
	b.path = path
	return nil
}

// canonicalPath returns an absolute path without symbolic links, as far as it
// exists and is readable, so that one file has one key however it is spelled. It
// ignores errors of the disk: opening the store returns them again, and is
// retried; a config is not refused for them.
func canonicalPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return canonical(path, maxLinks), nil
}

// maxLinks is how many links to missing files are followed: they may form a
// circle.
const maxLinks = 40

func canonical(path string, links int) string {
	missing := ""
	for dir := path; ; {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(real, missing)
		}
		// A link to a missing file: the file will be at its target.
		if target, err := os.Readlink(dir); err == nil && links > 0 {
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(dir), target)
			}
			return canonical(filepath.Join(target, missing), links-1)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return path
		}
		missing = filepath.Join(filepath.Base(dir), missing)
		dir = parent
	}
}

// StoreKey implements StoreProvider.
func (b *BoltStorage) StoreKey() string { return "bbolt:" + b.path }

// lockTimeout is how long to wait for another process's lock on the file: a Caddy
// that is just ending.
const lockTimeout = 3 * time.Second

// OpenStore implements StoreProvider.
func (b *BoltStorage) OpenStore(ctx context.Context) (store.Store, error) {
	return boltstore.Open(ctx, b.path, boltstore.Options{Timeout: lockTimeout, OnDamage: new(damageLog).report, OnHeld: logHeld})
}

// logHeld logs the number of held messages of a restored store, once per opening.
func logHeld(messages int) {
	caddy.Log().Named("webpush").Warn("messages are held, because the store was restored from a backup, which does not show what was sent since; 'caddy webpush messages' lists them, 'messages resume' sends one and 'messages cancel' ends it",
		zap.Int("messages", messages))
}

// damageLog logs damaged rows, at most one a minute: each reading of a list finds
// them again. It uses Caddy's own log, because the store outlives the config that
// opened it.
type damageLog struct{ minuteLog }

func (l *damageLog) report(err error) {
	l.log("a damaged row was passed over; restore a backup of the store", err)
}

// liveLog logs settings that can't be used, at most one a minute.
type liveLog struct{ minuteLog }

func (l *liveLog) report(err error) {
	l.log("prompts, pop-ups or keys that operators have set may not be what visitors get", err)
}

// minuteLog is a line in Caddy's own log, at most one a minute.
type minuteLog struct{ next atomic.Int64 } // Unix seconds

func (l *minuteLog) log(message string, err error) {
	now := time.Now().Unix()
	if next := l.next.Load(); now >= next && l.next.CompareAndSwap(next, now+60) {
		caddy.Log().Named("webpush").Error(message, zap.Error(err))
	}
}

// UnmarshalCaddyfile sets up the storage from Caddyfile tokens. Syntax:
//
//	storage bbolt [<path>]
func (b *BoltStorage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	if d.NextArg() {
		b.Path = d.Val()
	}
	if d.NextArg() {
		return d.Err("storage bbolt takes one path; write it like: storage bbolt /var/lib/caddy/webpush.db")
	}
	if d.NextBlock(d.Nesting()) {
		return unknownOption(d, nil)
	}
	return nil
}

// loadStorage loads the configured provider, or the default one.
func loadStorage(ctx caddy.Context, app *App) (StoreProvider, error) {
	var mod any
	var err error
	if app.StorageRaw != nil {
		mod, err = ctx.LoadModule(app, "StorageRaw")
	} else {
		mod, err = ctx.LoadModuleByID("webpush.storage.bbolt", json.RawMessage("{}"))
	}
	if err != nil {
		return nil, fmt.Errorf("loading the webpush storage: %w", err)
	}
	p, ok := mod.(StoreProvider)
	if !ok {
		return nil, fmt.Errorf("storage module %T is not a webpush.storage", mod)
	}
	return p, nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*BoltStorage)(nil)
	_ caddyfile.Unmarshaler = (*BoltStorage)(nil)
	_ StoreProvider         = (*BoltStorage)(nil)
)
