// Package doctor examines a page as a browser loads it, and reports what keeps its visitors from
// subscribing, and the cure. It reads Caddy's configuration as JSON, and makes no request to a
// running Caddy.
package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// Verdict is how serious a finding is.
type Verdict string

const (
	OK      Verdict = "ok"
	Warning Verdict = "warning" // works, but not as well as it could
	Problem Verdict = "problem" // keeps visitors from subscribing
)

// Diagnosis is the result of one check.
type Diagnosis struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Finding string  `json:"finding"`
	Cure    string  `json:"cure,omitempty"`
}

// Checkup is the doctor's report on one page.
type Checkup struct {
	URL       string      `json:"url"`
	Diagnoses []Diagnosis `json:"diagnoses"`
	// Healthy is false if something keeps visitors from subscribing.
	Healthy bool `json:"healthy"`

	// Site is the name in the page's script, if it has one.
	Site string `json:"-"`
}

// doctor examines a page as a browser loads it.
type doctor struct {
	client *http.Client
	report Checkup
	// roots are the trusted authorities, nil for the system's; lenient means that the operator has
	// turned the check of certificates off.
	roots   *x509.CertPool
	lenient bool

	page   *http.Response
	body   []byte
	tags   pageTags
	config httpapi.SiteConfig
}

// newDoctor makes a doctor that fetches through transport.
func newDoctor(transport http.RoundTripper) *doctor {
	d := &doctor{client: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
	if t, ok := transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		d.roots, d.lenient = t.TLSClientConfig.RootCAs, t.TLSClientConfig.InsecureSkipVerify
	}
	return d
}

// check is one part of a checkup.
type check struct {
	name  string // as in its findings
	after string // the check that must succeed before this one; "" for none
	looks string // what it examines
	// run reports whether the checks that depend on it can run.
	run func(*doctor, context.Context) bool
}

// checks are all checks in their order, beginning with the page.
var checks = []check{
	{"secure", "", "how the page comes: HTTPS, and the certificate", offline((*doctor).secure)},
	{"page", "", "the page's own HTML: our script's tag in its head", func(d *doctor, _ context.Context) bool { return d.tagged() }},
	{"script", "page", "the page script, and how long caches keep it", (*doctor).script},
	{"worker", "script", "the service worker's script", done((*doctor).worker)},
	{"providers", "script", "scripts and workers of other push providers", done((*doctor).providers)},
	{"manifest", "script", "the web app manifest and its icons", done((*doctor).manifest)},
	{"endpoint", "script", "what takes subscriptions", done((*doctor).endpoint)},
	{"policy", "script", "the page's Content-Security-Policy", offline((*doctor).policy)},
	{"nonce", "script", "the nonce of our script's tag", done((*doctor).nonce)},
	{"compression", "", "whether pages go out compressed", done((*doctor).compression)},
}

// done makes a check on which no other depends; offline makes one of a function that fetches nothing.
func done(run func(*doctor, context.Context)) func(*doctor, context.Context) bool {
	return func(d *doctor, ctx context.Context) bool { run(d, ctx); return true }
}

func offline(run func(*doctor)) func(*doctor, context.Context) bool {
	return done(func(d *doctor, _ context.Context) { run(d) })
}

// Examine checks everything that a visitor's subscription needs, beginning with the page at the
// address; it fetches through transport. The error means that the page could not be fetched at all,
// or that ctx ended before a check.
func Examine(ctx context.Context, transport http.RoundTripper, address string) (Checkup, error) {
	d := newDoctor(transport)
	if err := d.findPage(ctx, address); err != nil {
		return Checkup{}, err
	}
	d.report.URL = d.page.Request.URL.String()
	passed := map[string]bool{"": true}
	for _, c := range checks {
		if err := context.Cause(ctx); err != nil {
			return Checkup{}, fmt.Errorf("before it looked at %s: %w", c.looks, err)
		}
		passed[c.name] = passed[c.after] && c.run(d, ctx)
	}
	d.report.Site = d.config.Site
	d.report.Healthy = true
	for _, x := range d.report.Diagnoses {
		d.report.Healthy = d.report.Healthy && x.Verdict != Problem
	}
	return d.report, nil
}

func (d *doctor) say(check string, v Verdict, cure, format string, args ...any) {
	d.report.Diagnoses = append(d.report.Diagnoses, Diagnosis{check, v, fmt.Sprintf(format, args...), cure})
}
