package httpapi

import (
	"bytes"
	"maps"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
)

// failureCures are the reasons why a browser could not be subscribed, as in web/src/sdk/failure.ts,
// and the cure for each.
var failureCures = map[string]string{
	"push_timeout":       "the browsers' push services do not answer: the visitors' network blocks them (FCM: mtalk.google.com port 5228, android.clients.google.com; Firefox: push.services.mozilla.com). A visitor who was asked is subscribed at a later visit",
	"push_refused":       "the push service refuses, or push is switched off in the browser, as in Brave by default (Settings, Privacy, \"Use Google services for push messaging\") and always in Chromium builds without Google's keys. The site cannot change this",
	"push_failed":        "the browser cannot subscribe; the console of a page has its error",
	"not_allowed":        "the browser withdrew the permission, or does not grant it in this kind of window. The site cannot change this",
	"key_conflict":       "a subscription with another key is in the way: another push provider's code subscribes at the same worker. Remove it from the pages, or set dual_run",
	"worker_timeout":     "the service worker takes more than half a minute: check how long its address takes to answer, and what the site's own worker waits for in its install event",
	"worker_blocked":     "the pages' Content-Security-Policy blocks the worker: run 'caddy webpush doctor' on the page, or set csp extend",
	"worker_failed":      "the worker's address must answer 200 with JavaScript, over a trusted certificate and without a redirect, and the site's own part of it must not throw: run 'caddy webpush doctor' on the page",
	"server_timeout":     "the site took more than half a minute to answer a subscription: check the servers in front of it, and the store's disk",
	"server_unreachable": "the visitors were offline, or something on their side, such as an ad blocker, stops requests below the prefix. A visitor who was asked is subscribed at a later visit; against ad blockers set another prefix",
	"server_failed":      "the site answered 429 or 5xx to a subscription: check Caddy's log, subscribe_limit and max_store_size",
	"server_refused":     "something in front of webpush refuses posts below the prefix, such as a firewall or a login: allow them",
	"script_failed":      "a module below the prefix does not load: the visitors were offline, an ad blocker stops it (set another prefix), or something in front of webpush does",
	"unanswered":         "visitors do not answer the browser's own question. Browsers show it quietly on sites where many refuse it: ask later, with after",
}

// FailureOther replaces unknown codes.
const FailureOther = "other"

// FailureCodes returns the names under which failures are counted.
func FailureCodes() []string {
	return append(slices.Sorted(maps.Keys(failureCures)), FailureOther)
}

// FailureCure returns the cure for a code that browsers report.
func FailureCure(code string) string { return failureCures[code] }

// failureSites is the maximum number of sites with counts.
const failureSites = 1000

// Failures counts why browsers could not be subscribed, by site, since it was made. It is only in
// memory. It is safe for concurrent use.
type Failures struct {
	since time.Time
	// each is called for every one.
	each func(code string)

	mu    sync.Mutex
	sites map[string]map[string]int64
}

// NewFailures makes counters that begin now; each is called with the code of every failure that is
// counted.
func NewFailures(now time.Time, each func(code string)) *Failures {
	return &Failures{since: now, each: each, sites: map[string]map[string]int64{}}
}

// count adds a failure of a site.
func (f *Failures) count(site, code string) {
	if failureCures[code] == "" {
		code = FailureOther
	}
	f.each(code)
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := f.sites[site]
	if counts == nil {
		if len(f.sites) >= failureSites {
			f.forgetLeast()
		}
		counts = map[string]int64{}
		f.sites[site] = counts
	}
	counts[code]++
}

// forgetLeast removes the site with the fewest: Host headers can be made up, and a site that has
// visitors has more.
func (f *Failures) forgetLeast() {
	least, name := int64(math.MaxInt64), ""
	for site, counts := range f.sites {
		var sum int64
		for _, n := range counts {
			sum += n
		}
		if sum < least {
			least, name = sum, site
		}
	}
	delete(f.sites, name)
}

// Counts returns a site's counts.
func (f *Failures) Counts(site string) api.FailureCounts {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := maps.Clone(f.sites[site])
	if counts == nil {
		counts = map[string]int64{}
	}
	return api.FailureCounts{Since: f.since.UTC().Truncate(time.Second), Failures: counts}
}

// FailureReport says that a browser could not be subscribed.
type FailureReport struct {
	// Failure is a code; see FailureCodes.
	Failure string `json:"failure" api:"required"`
}

// decodeFailure reads a report that a browser could not be subscribed; is is false for
// any other body.
func decodeFailure(body []byte) (code string, is bool, err error) {
	if !bytes.HasPrefix(body, []byte(`{"failure":`)) {
		return "", false, nil
	}
	var report FailureReport
	err = exchange.Decode(body, &report, exchange.Strict)
	return report.Failure, true, err
}

// failure counts a report. It stores nothing and begins no site.
func (p *Public) failure(w http.ResponseWriter, r *http.Request, site PublicSite, code string) error {
	if err := p.limited(w, r, p.EventLimit, 1, "events"); err != nil {
		return err
	}
	if p.Failures != nil && !Anonymous(r, site) {
		p.Failures.count(site.Name, code)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
