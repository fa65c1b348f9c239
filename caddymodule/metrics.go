package caddymodule

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-webpush/caddy-webpush/injector"
)

// metrics are what one configuration counts. Caddy makes a new registry with
// each, so that counters begin at zero after a reload, as after a restart.
type metrics struct {
	pages map[injector.Reason]prometheus.Counter
}

// newMetrics registers the counters.
func newMetrics(ctx caddy.Context) (*metrics, error) {
	pages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "webpush", Name: "pages_total",
		Help: "Requests by what became of the page: injected, or the reason why it was left as it is.",
	}, []string{"reason"})
	if reg := ctx.GetMetricsRegistry(); reg != nil {
		if err := reg.Register(pages); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
			return nil, err
		}
	}
	// Resolved once: the page path should not look labels up.
	m := &metrics{pages: make(map[injector.Reason]prometheus.Counter)}
	for _, reason := range append(injector.Reasons(), reasonNotReady) {
		m.pages[reason] = pages.WithLabelValues(string(reason))
	}
	return m, nil
}

// page counts one request.
func (m *metrics) page(why injector.Reason) {
	if c := m.pages[why]; c != nil {
		c.Inc()
	}
}
