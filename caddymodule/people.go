package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// Event is an event that the proxy itself counts, without code in pages.
type Event struct {
	// The event's name, such as Charged.
	Name string `json:"name"`

	// The requests for which it is counted, once they have been answered with a page (2xx, HTML).
	// Sets are or-ed, the matchers in one and-ed. Default: all.
	MatcherSetsRaw caddyhttp.RawMatcherSets `json:"match,omitempty" caddy:"namespace=http.matchers"`

	// The event's properties: keys, and values in which placeholders are replaced once the page has
	// been answered. Empty values are left out.
	Props map[string]string `json:"props,omitempty"`

	matchers caddyhttp.MatcherSets
}

// Bounds of the events of a handler.
const (
	maxEventRules = 100
	maxEventProps = 50
)

// provisionPeople loads the matchers of events.
func (h *Handler) provisionPeople(ctx caddy.Context) error {
	secret, err := replaced("identity_secret", h.IdentitySecret)
	if err != nil {
		return err
	}
	h.identitySecret = pushsvc.Secret(secret)
	for _, e := range h.Events {
		if len(e.MatcherSetsRaw) == 0 {
			continue
		}
		loaded, err := ctx.LoadModule(e, "MatcherSetsRaw")
		if err != nil {
			return fmt.Errorf("loading the matchers of event %q: %w", e.Name, err)
		}
		if err := e.matchers.FromInterface(loaded); err != nil {
			return fmt.Errorf("loading the matchers of event %q: %w", e.Name, err)
		}
	}
	return nil
}

// checkPeople returns an error that names the wrong option.
func (h *Handler) checkPeople() error {
	if h.Identify != "" && !strings.Contains(h.Identify, "{") {
		return &optionError{"identify", fmt.Sprintf("%q has no placeholder, so that everybody would be one person; write it like: identify {http.auth.user.id}", h.Identify)}
	}
	if len(h.Events) > maxEventRules {
		return &optionError{"event", fmt.Sprintf("is given more than %d times", maxEventRules)}
	}
	for _, e := range h.Events {
		switch name, ok := people.CleanEventName(e.Name); {
		case !ok || name != e.Name:
			return &optionError{"event", fmt.Sprintf("%q is reserved or no name of an event", e.Name)}
		case len(e.Props) > maxEventProps:
			return &optionError{"event", fmt.Sprintf("%q has more than %d properties", e.Name, maxEventProps)}
		}
	}
	return nil
}

// watches reports whether answers with pages report something about visitors.
func (h *Handler) watches() bool { return h.Identify != "" || len(h.Events) > 0 }

// watched is a request whose page may report something.
type watched struct {
	h       *Handler
	site    string
	browser pushsvc.Browser
	events  []*Event
	status  int
	caddyhttp.ResponseWriterWrapper
}

// WriteHeader notes how the request is answered.
func (p *watched) WriteHeader(status int) {
	if p.status == 0 && status >= http.StatusOK {
		p.status = status
	}
	p.ResponseWriterWrapper.WriteHeader(status)
}

// Write answers 200 if no status was set.
func (p *watched) Write(b []byte) (int, error) {
	if p.status == 0 {
		p.status = http.StatusOK
	}
	return p.ResponseWriterWrapper.Write(b)
}

// ReadFrom is Write for io.Copy.
func (p *watched) ReadFrom(from io.Reader) (int64, error) {
	if p.status == 0 {
		p.status = http.StatusOK
	}
	return p.ResponseWriterWrapper.ReadFrom(from)
}

// serveWatched serves a site whose pages may report something.
func (h *Handler) serveWatched(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, req request) error {
	p := h.watch(w, r, req)
	defer withoutCookies(r, httpapi.SecureCookieName, httpapi.CookieName)()
	if p == nil || len(p.events) == 0 && h.Identify == "" || r.Method == http.MethodHead || isPrefetch(r) {
		return h.serveSite(w, r, next, req)
	}
	if err := h.serveSite(p, r, next, req); err != nil {
		return err
	}
	p.tell(r)
	return nil
}

// isPrefetch reports whether the browser loads the page before a visitor has opened it (Fetch
// Metadata's Sec-Purpose, and Purpose before it).
func isPrefetch(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Sec-Purpose"), "prefetch") || r.Header.Get("Purpose") == "prefetch"
}

// mayTell reports whether the request's page may report something about its visitor, as far as that
// is known without the site.
func (h *Handler) mayTell(r *http.Request) bool {
	if !h.watches() || h.Retire || len(r.Header["Cookie"]) == 0 {
		return false
	}
	run, _ := h.app.current()
	return run != nil
}

// watch finds the browser whose page may report something; nil if there is no browser, or it asks
// not to be tracked.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request, req request) *watched {
	run, _ := h.app.current()
	if !req.tells || req.siteErr != nil || run == nil {
		return nil
	}
	site := httpapi.PublicSite{Name: req.site, Secure: isSecure(r)}
	values, anonymous := httpapi.Cookies(r, site)
	if anonymous {
		return nil
	}
	b, ok, err := run.service.OpenCookies(r.Context(), req.site, values)
	if err != nil || !ok {
		return nil
	}
	p := &watched{h: h, site: req.site, browser: b}
	p.ResponseWriter = w
	h.asVisited(r, func() { p.events = h.matching(r) })
	return p
}

// asVisited calls f while r has the address that the visitor sees, whatever try_files and other
// rewrites have made of it. A prefix that handle_path has removed stays removed; a query that a
// rewrite has added stays. The URL is changed in place, because placeholders read it there.
func (h *Handler) asVisited(r *http.Request, f func()) {
	orig := originalURL(r)
	if orig == nil || strings.HasSuffix(orig.Path, r.URL.Path) {
		f()
		return
	}
	rewritten := *r.URL
	defer func() { *r.URL = rewritten }()
	*r.URL = *orig
	for _, prefix := range h.strips() {
		if inside, stripped := strings.CutPrefix(r.URL.Path, prefix); stripped {
			r.URL.Path, r.URL.RawPath = "/"+strings.TrimPrefix(inside, "/"), ""
		}
	}
	if orig.RawQuery == "" {
		r.URL.RawQuery = rewritten.RawQuery
	}
	f()
}

// matching returns the events for which the request is counted.
func (h *Handler) matching(r *http.Request) (events []*Event) {
	for _, e := range h.Events {
		if len(e.matchers) > 0 {
			// The page matters more than its count.
			if match, err := e.matchers.AnyMatchWithError(r); err != nil || !match {
				continue
			}
		}
		events = append(events, e)
	}
	return events
}

// withoutCookies removes our cookie, which is a secret between us and the browser, from the request
// for the site; the result restores it.
func withoutCookies(r *http.Request, ours ...string) (restore func()) {
	before := r.Header["Cookie"]
	if !slices.ContainsFunc(before, func(line string) bool {
		return slices.ContainsFunc(ours, func(name string) bool { return strings.Contains(line, name) })
	}) {
		return func() {}
	}
	var kept []string
	for _, line := range before {
		parts := slices.DeleteFunc(strings.Split(line, ";"), func(part string) bool {
			name, _, _ := strings.Cut(strings.TrimSpace(part), "=")
			// The cookies of other ports of the host are removed too.
			return slices.ContainsFunc(ours, func(our string) bool { return name == our || strings.HasPrefix(name, our+"_") })
		})
		if line = strings.TrimSpace(strings.Join(parts, ";")); line != "" {
			kept = append(kept, line)
		}
	}
	if kept == nil {
		r.Header.Del("Cookie")
	} else {
		r.Header["Cookie"] = kept
	}
	return func() { r.Header["Cookie"] = before }
}

// tell queues what an answered page reports. It never waits and never fails.
func (p *watched) tell(r *http.Request) {
	if p.status < 200 || p.status > 299 || !strings.HasPrefix(p.Header().Get("Content-Type"), "text/html") {
		return
	}
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	run, _ := p.h.app.current()
	if !ok || run == nil {
		return
	}
	site := run.service.CurrentSite(p.site) // it may have been renamed while the page was answered
	now := time.Now()
	device := p.browser.Device()
	if run.service.Known(p.browser) != nil {
		return // another tab has logged in or out meanwhile
	}
	t := pageTold{site: site, batch: people.Batch{Device: device, Line: p.browser.Line(), At: now}}
	if p.h.Identify != "" {
		// The placeholder's value is not searched for placeholders again.
		id, ok := people.Identity{Kind: people.IdentityID, Value: repl.ReplaceAll(p.h.Identify, "")}.Clean()
		if ok && run.pages.isNews(site, device, id.Value, now) {
			t.batch.Entries = append(t.batch.Entries, people.Entry{Kind: people.EntryLogin, Time: now, Identities: []people.Identity{id}})
		}
	}
	for _, e := range p.events {
		props := map[string]any{}
		p.h.asVisited(r, func() {
			for key, value := range e.Props {
				if v := repl.ReplaceAll(value, ""); v != "" {
					props[key] = v
				}
			}
		})
		t.batch.Entries = append(t.batch.Entries, people.Entry{Kind: people.EntryEvent, Time: now, Name: e.Name, Props: people.CleanProps(props, false)})
	}
	if len(t.batch.Entries) == 0 {
		return
	}
	if t.client, ok = run.public.AllowPage(r, site); !ok {
		p.h.app.metrics.dropped.Inc()
		return
	}
	run.pages.put(t)
}

// pageTold is what one page reports.
type pageTold struct {
	site   string
	client netip.Addr // from httpapi.ClientOf
	batch  people.Batch
}

// How many entries may wait for the store, and how many are written at a time: the entries of a
// device stay in order.
const (
	pageQueues   = 8
	pageQueueLen = 256
	pagesTimeout = 3 * time.Second
)

// pages stores what pages report, in the background: a page never waits for it.
type pages struct {
	service *service.Service
	logger  *slog.Logger
	dropped func()
	queues  [pageQueues]*pageQueue
	done    sync.WaitGroup
	mu      sync.RWMutex // held for writing by stop
	stopped bool
	said    atomic.Int64 // Unix seconds of the last log line about a full queue

	seed maphash.Seed
	seen [seenSlots]atomic.Uint64
}

func newPages(s *service.Service, logger *slog.Logger, dropped func()) *pages {
	p := &pages{service: s, logger: logger, dropped: dropped, seed: maphash.MakeSeed()}
	for i := range p.queues {
		q := newPageQueue()
		p.queues[i] = q
		p.done.Go(func() {
			for t, ok := q.take(); ok; t, ok = q.take() {
				p.store(t)
			}
		})
	}
	return p
}

func (p *pages) put(t pageTold) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.stopped || p.queues[t.batch.Device[0]%pageQueues].put(t) {
		return
	}
	p.dropped()
	now := time.Now().Unix()
	if last := p.said.Load(); now-last >= 60 && p.said.CompareAndSwap(last, now) {
		p.logger.Warn("events of pages are dropped: the store is too slow for the number of visitors")
	}
}

func (p *pages) store(t pageTold) {
	defer func() {
		if r := recover(); r != nil {
			p.logger.Error("storing the events of a page failed unexpectedly", "panic", fmt.Sprint(r))
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := p.service.RecordFromProxy(ctx, t.site, t.batch); err != nil && !errors.Is(err, pushsvc.ErrClosed) {
		p.dropped()
		p.logger.Error("storing the events of a page", "error", err)
	}
}

// stop ends it; waiting entries are stored, if that doesn't take long.
func (p *pages) stop() {
	p.mu.Lock()
	if !p.stopped {
		p.stopped = true
		for _, q := range p.queues {
			q.close()
		}
	}
	p.mu.Unlock()
	ended := make(chan struct{})
	go func() { p.done.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(pagesTimeout):
	}
}

// seenSlots is how many recently identified devices are remembered, so that not every page causes a
// write. A device replaces another one in its slot.
const seenSlots = 1 << 14

// seenFor is how long a device is remembered, in seconds.
const seenFor = 600

// isNews reports whether the device has not reported the identity recently.
func (p *pages) isNews(site string, device pushsvc.DeviceID, value string, now time.Time) bool {
	slot := &p.seen[maphash.Comparable(p.seed, device)%seenSlots]
	period := now.Unix() / seenFor
	mark := maphash.Comparable(p.seed, struct {
		site, value string
		device      pushsvc.DeviceID
		period      int64
	}{site, value, device, period}) | 1
	return slot.Swap(mark) != mark
}
