// Package doctor looks at a page as a browser would come to it, and says what keeps its
// visitors from subscribing, and the cure. It knows of Caddy what its configuration is as
// JSON, and asks no running one.
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

// Diagnosis is one thing that the doctor looked at.
type Diagnosis struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Finding string  `json:"finding"`
	Cure    string  `json:"cure,omitempty"`
}

// Checkup is what the doctor says of one page.
type Checkup struct {
	URL       string      `json:"url"`
	Diagnoses []Diagnosis `json:"diagnoses"`
	// Healthy is false where something keeps visitors from subscribing.
	Healthy bool `json:"healthy"`

	// Site is the name that the page's script has, if it has one.
	Site string `json:"-"`
}

// doctor examines a page as a browser would come to it.
type doctor struct {
	client *http.Client
	report Checkup
	// roots are the authorities that are trusted, nil for the system's; lenient says
	// that the operator wants no certificate looked at.
	roots   *x509.CertPool
	lenient bool

	page   *http.Response
	body   []byte
	tags   pageTags
	config httpapi.SiteConfig
}

// newDoctor makes one that fetches through transport.
func newDoctor(transport http.RoundTripper) *doctor {
	d := &doctor{client: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
	if t, ok := transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		d.roots, d.lenient = t.TLSClientConfig.RootCAs, t.TLSClientConfig.InsecureSkipVerify
	}
	return d
}

// Examine looks at everything that a visitor's subscription needs, from the page at the
// address inwards; it fetches through transport. The error says that the page could not
// be had at all.
func Examine(ctx context.Context, transport http.RoundTripper, address string) (Checkup, error) {
	return newDoctor(transport).examine(ctx, address)
}

// examine looks at everything that a visitor's subscription needs, from the
// page inwards. The error says that the page could not be had at all.
func (d *doctor) examine(ctx context.Context, address string) (Checkup, error) {
	if err := d.findPage(ctx, address); err != nil {
		return Checkup{}, err
	}
	d.report.URL = d.page.Request.URL.String()
	d.secure()
	if d.tagged() && d.script(ctx) {
		d.worker(ctx)
		d.vendors(ctx)
		d.manifest(ctx)
		d.endpoint(ctx)
		d.policy()
		d.nonce(ctx)
	}
	d.compression(ctx)
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
