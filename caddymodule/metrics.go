package caddymodule

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-webpush/caddy-webpush/injector"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// metrics are the counters of one configuration. Caddy makes a new registry for
// each, so that counters begin at zero after a reload, as after a restart. No
// label value comes from outside: services, classes and reasons are fixed lists.
type metrics struct {
	pages    map[injector.Reason]prometheus.Counter
	pushes   *prometheus.CounterVec
	duration *prometheus.HistogramVec
	dropped  prometheus.Counter
	failures map[string]prometheus.Counter
}

// newMetrics registers the counters; state returns the state for the gauges.
func newMetrics(ctx caddy.Context, state func() *running) (*metrics, error) {
	pages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "webpush", Name: "pages_total",
		Help: "Requests by result: injected, or the reason why the page was left unchanged.",
	}, []string{"reason"})
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "webpush", Name: "subscribe_failures_total",
		Help: "Browsers that could not be subscribed, by why: as pages have told, once in a tab session.",
	}, []string{"code"})
	m := &metrics{
		failures: make(map[string]prometheus.Counter),
		pages:    make(map[injector.Reason]prometheus.Counter),
		pushes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caddy", Subsystem: "webpush", Name: "pushes_total",
			Help: "Attempts to push to one recipient, by push service, class of outcome and reason.",
		}, []string{"service", "class", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "caddy", Subsystem: "webpush", Name: "push_duration_seconds",
			Help:    "How long an attempt took, from encryption to the push service's answer.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"service"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "caddy", Subsystem: "webpush", Name: "page_events_dropped_total",
			Help: "Pages whose events or identity were left out, because the store was too slow or failed.",
		}),
	}
	// Resolved once: a page request should not look labels up.
	for _, reason := range append(injector.Reasons(), reasonNotReady) {
		m.pages[reason] = pages.WithLabelValues(string(reason))
	}
	for _, code := range httpapi.FailureCodes() {
		m.failures[code] = failures.WithLabelValues(code)
	}
	reg := ctx.GetMetricsRegistry()
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{pages, m.pushes, m.duration, m.dropped, failures, newGauges(state)} {
		if err := reg.Register(c); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
			return nil, err
		}
	}
	return m, nil
}

// page counts one request.
func (m *metrics) page(why injector.Reason) {
	if c := m.pages[why]; c != nil {
		c.Inc()
	}
}

// failed counts a browser that could not be subscribed.
func (m *metrics) failed(code string) {
	if c := m.failures[code]; c != nil {
		c.Inc()
	}
}

// pushed counts one attempt.
func (m *metrics) pushed(r *webpush.Result, took time.Duration) {
	service := r.Service
	if service == "" {
		service = webpush.ServiceOther // refused before it was known
	}
	m.pushes.WithLabelValues(string(service), string(r.Class), string(r.Reason)).Inc()
	m.duration.WithLabelValues(string(service)).Observe(took.Seconds())
}

// gauges report the state of the engine and the store on request.
type gauges struct {
	state func() *running

	inFlight, messages, queueAge, subscriptions, sites, healthy *prometheus.Desc

	// The store's numbers are cached briefly: listing a thousand sites for each
	// of several scrapers would be slow.
	mu      sync.Mutex
	counted time.Time
	counts  struct{ sites, subscriptions float64 }
}

// countsKept is the largest age of the cached numbers.
const countsKept = 15 * time.Second

func newGauges(state func() *running) *gauges {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName("caddy", "webpush", name), help, nil, nil)
	}
	return &gauges{
		state:         state,
		inFlight:      desc("pushes_in_flight", "Pushes under way."),
		messages:      desc("messages_running", "Messages that are being sent."),
		queueAge:      desc("queue_age_seconds", "How long the longest-waiting recipient has been ready to be sent to; 0 if none waits."),
		subscriptions: desc("subscriptions", "Live subscriptions of all sites."),
		healthy:       desc("store_healthy", "1 where the store works; 0 where its disk does not answer, or the last write failed."),
		sites:         desc("sites", "Sites that have or had a subscription."),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.inFlight, g.messages, g.queueAge, g.subscriptions, g.sites, g.healthy} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It reports nothing while push is off.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	run := g.state()
	if run == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	stats := run.engine.Stats()
	gauge(g.inFlight, float64(stats.InFlight))
	gauge(g.messages, float64(stats.Running))
	age := 0.0
	if !stats.OldestDue.IsZero() {
		age = max(time.Since(stats.OldestDue).Seconds(), 0)
	}
	gauge(g.queueAge, age)
	works := 0.0
	if run.service.Health() == nil {
		works = 1
	}
	gauge(g.healthy, works)
	if sites, subscriptions, ok := g.count(run); ok {
		gauge(g.subscriptions, subscriptions)
		gauge(g.sites, sites)
	}
}

// count reads the store, at most once in countsKept.
func (g *gauges) count(run *running) (sites, subscriptions float64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.counted) >= countsKept {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		list, err := run.store.Sites(ctx)
		if err != nil {
			return 0, 0, false
		}
		g.counted, g.counts.sites, g.counts.subscriptions = time.Now(), float64(len(list)), 0
		for _, s := range list {
			g.counts.subscriptions += float64(s.Subscriptions)
		}
	}
	return g.counts.sites, g.counts.subscriptions, true
}
