package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// promptSetting is the name under which the store has prompts' settings.
const promptSetting = "prompt"

// promptsFresh is how long what has been read is believed: other processes may
// write to the same database.
const promptsFresh = 10 * time.Second

// promptsTimeout is how long reading them anew may take.
const promptsTimeout = 10 * time.Second

// PromptOverride is what operators have set of one site's prompt. The zero value
// is nothing.
type PromptOverride struct {
	Settings pushsvc.PromptSettings
	Revision pushsvc.Revision
	Updated  time.Time
}

// Prompts has in memory what operators have set of all sites' prompts, for every
// page's script is made with it. There is one for a store, however many
// configurations use that. What this process writes holds at once; what others
// write to the same database, promptsFresh later and with the next visit.
type Prompts struct {
	store pushsvc.SettingStore
	clock func() time.Time
	fault func(error)

	current atomic.Pointer[prompts]
	reading atomic.Bool
	writing sync.Mutex // held while the store is asked and current replaced
}

// prompts never changes.
type prompts struct {
	read  time.Time
	sites map[string]PromptOverride
}

// NewPrompts has nothing in memory yet: see Read. fault is told what could not be
// read in the background; it may be called by many goroutines.
func NewPrompts(store pushsvc.SettingStore, clock func() time.Time, fault func(error)) *Prompts {
	p := &Prompts{store: store, clock: clock, fault: fault}
	p.current.Store(&prompts{})
	return p
}

// Of gives what is set for the site. It never waits for the store.
func (p *Prompts) Of(site string) PromptOverride {
	now, at := p.current.Load(), p.clock()
	if age := at.Sub(now.read); (age >= promptsFresh || age < 0) && p.reading.CompareAndSwap(false, true) {
		go p.readSafely(at)
	}
	return now.sites[site]
}

func (p *Prompts) readSafely(at time.Time) {
	defer p.reading.Store(false)
	defer func() {
		if r := recover(); r != nil {
			p.fault(fmt.Errorf("reading prompts' settings: %v", r))
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), promptsTimeout)
	defer cancel()
	if err := p.Read(ctx); err != nil && !errors.Is(err, pushsvc.ErrClosed) {
		p.fault(err)
		// Not again with each request.
		p.replace(func(next *prompts) { next.read = at })
	}
}

// Read reads all from the store. One whose document is not understood counts as
// nothing set, and is told to fault.
func (p *Prompts) Read(ctx context.Context) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	at := p.clock()
	rows, err := p.store.Settings(ctx, promptSetting)
	if err != nil {
		return fmt.Errorf("reading prompts' settings: %w", err)
	}
	sites := make(map[string]PromptOverride, len(rows))
	for _, row := range rows {
		sites[row.Site] = p.parse(row)
	}
	p.current.Store(&prompts{read: at, sites: sites})
	return nil
}

func (p *Prompts) parse(row pushsvc.Setting) PromptOverride {
	o := PromptOverride{Revision: row.Revision, Updated: row.Updated}
	err := json.Unmarshal(row.Document, &o.Settings)
	if err == nil {
		err = o.Settings.Validate()
	}
	if err != nil {
		o.Settings = pushsvc.PromptSettings{}
		p.fault(fmt.Errorf("what is set of the prompt of %s is not used; set it anew: %w", row.Site, err))
	}
	return o
}

// replace changes a copy and puts it into the place of what is there.
func (p *Prompts) replace(change func(*prompts)) {
	for {
		old := p.current.Load()
		next := &prompts{read: old.read, sites: maps.Clone(old.sites)}
		if next.sites == nil {
			next.sites = map[string]PromptOverride{}
		}
		if change(next); p.current.CompareAndSwap(old, next) {
			return
		}
	}
}

// get reads one site's from the store.
func (p *Prompts) get(ctx context.Context, site string) (PromptOverride, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	row, err := p.store.Setting(ctx, site, promptSetting)
	var o PromptOverride
	switch {
	case err == nil:
		o = p.parse(row)
	case errors.Is(err, pushsvc.ErrNotFound):
		p.replace(func(next *prompts) { delete(next.sites, site) })
		return o, nil
	default:
		return o, fmt.Errorf("reading the prompt's settings: %w", err)
	}
	p.replace(func(next *prompts) { next.sites[site] = o })
	return o, nil
}

// put stores valid settings.
func (p *Prompts) put(ctx context.Context, site string, s pushsvc.PromptSettings, expect pushsvc.Revision) (PromptOverride, error) {
	document, err := json.Marshal(s)
	if err != nil {
		return PromptOverride{}, fmt.Errorf("encoding the prompt's settings: %w", err)
	}
	if len(document) > pushsvc.MaxSettingDocument {
		return PromptOverride{}, &pushsvc.FieldError{Field: "prompt", Problem: fmt.Sprintf("takes more than %d bytes", pushsvc.MaxSettingDocument)}
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	row, err := p.store.PutSetting(ctx, pushsvc.Setting{Site: site, Name: promptSetting, Document: document, Updated: p.clock()}, expect)
	if err != nil {
		p.expire()
		return PromptOverride{}, fmt.Errorf("storing the prompt's settings: %w", err)
	}
	o := p.parse(row)
	p.replace(func(next *prompts) { next.sites[site] = o })
	return o, nil
}

func (p *Prompts) remove(ctx context.Context, site string, expect pushsvc.Revision) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := p.store.DeleteSetting(ctx, site, promptSetting, expect); err != nil {
		p.expire()
		return fmt.Errorf("removing the prompt's settings: %w", err)
	}
	p.replace(func(next *prompts) { delete(next.sites, site) })
	return nil
}

// expire has all read anew with the next visit: after a failed write nobody
// knows what is there.
func (p *Prompts) expire() {
	p.replace(func(next *prompts) { next.read = time.Time{} })
}
