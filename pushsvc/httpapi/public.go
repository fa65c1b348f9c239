// Package httpapi answers browsers' requests to a site's own origin: their posts, and the
// scripts and manifests that they load. The operator's API is package operator.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// Limits of public bodies in bytes.
const (
	MaxSubscribeBody = 8 << 10
	MaxEventsBody    = 64 << 10
)

// visitorTime is how long a visitor's request may take, including its body, whatever the store
// waits for.
const visitorTime = 4 * time.Second

// Public answers browsers' posts on a site's own origin.
type Public struct {
	Service *service.Service
	Logger  *slog.Logger
	// Limit bounds the subscriptions that one client posts; nil for no limit.
	Limit *ClientLimit
	// EventLimit bounds in the same way the batches of events and everything else that costs the
	// store something: reports of workers, requests for pop-ups, unsubscriptions, and pages that
	// report events of their visitor.
	EventLimit *ClientLimit
	// SiteLimit bounds the sites that one client begins; nil for no limit.
	SiteLimit *ClientLimit
	// Client returns who posts; nil for the address at the other end of the connection.
	Client func(*http.Request) netip.Addr
	// Limited is called for each post that a limit refuses; may be nil.
	Limited func()
	// Failures counts the reasons that browsers report when they cannot be subscribed; nil to count
	// none.
	Failures *Failures

	cross http.CrossOriginProtection
	calls exchange.Calls
}

// PublicSite is the site that a request is for.
type PublicSite struct {
	Name string
	// Topics are the ids of the site's topics.
	Topics []string
	// CookiePath is where browsers send the cookie; if empty, no cookie is set, and no visitor is
	// recognised.
	CookiePath string
	// OtherPath is where the site's cookie may be from the time before its settings changed; empty
	// for nowhere.
	OtherPath string
	// IdentitySecret, if set, is the secret with which logins must be signed.
	IdentitySecret pushsvc.Secret
	// ShareUnsigned means that unproven logins see other devices' reports.
	ShareUnsigned bool
	// Secure means that the request came over https, to us or to a trusted proxy.
	Secure bool
}

// publicActions has the last path segments that Serve accepts.
var publicActions = map[string]func(*Public, http.ResponseWriter, *http.Request, PublicSite) error{
	"subscribe":   (*Public).subscribe,
	"unsubscribe": (*Public).unsubscribe,
	"events":      (*Public).events,
	"messages":    (*Public).popups, // the name is older than the glossary; open pages know it
}

// IsPublicAction reports whether Serve has the action.
func IsPublicAction(action string) bool { return publicActions[action] != nil }

// Serve answers the action ("subscribe", "unsubscribe", "events" or "messages") for the site. It
// accepts only POST from the site's own pages and workers.
func (p *Public) Serve(w http.ResponseWriter, r *http.Request, site PublicSite, action string) {
	if err := p.serve(w, r, site, action); err != nil {
		exchange.Fail(r.Context(), p.Logger, w, err)
	}
}

func (p *Public) serve(w http.ResponseWriter, r *http.Request, site PublicSite, action string) error {
	exchange.StartReading(w)
	w.Header().Set("Cache-Control", "no-store") // a cookie is for one visitor
	if r.ProtoMajor >= 2 {
		// A browser reads the short answer; a client that reads nothing (RFC 9113 §5.2) must not
		// hold the request for it. Over HTTP/1 the system buffers it.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(exchange.ReadTimeout))
	}
	handle := publicActions[action]
	if handle == nil {
		return api.NewProblem(http.StatusNotFound, "there is no such path")
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return api.NewProblem(http.StatusMethodNotAllowed, "only POST is accepted here")
	}
	if err := p.cross.Check(r); err != nil || downgraded(r) {
		return api.NewProblem(http.StatusForbidden, "only pages of this site may post here")
	}
	if action != "messages" { // which only reads
		if err := p.Service.Health(); errors.Is(err, pushsvc.ErrStalled) {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), visitorTime)
	defer cancel()
	return handle(p, w, r.WithContext(ctx), site)
}

// downgraded reports whether a page belongs to the site's unencrypted twin, which anyone on the
// visitor's network can write. Browsers that send Sec-Fetch-Site have been checked already.
func downgraded(r *http.Request) bool {
	return r.TLS != nil && strings.HasPrefix(r.Header.Get("Origin"), "http://")
}

// evenStep is the interval at which the answers to subscribe and unsubscribe are sent. Their work
// depends on whether an endpoint is known, which must not be measurable from outside.
const evenStep = 10 * time.Millisecond

// even waits for the next step since the request arrived.
func even(ctx context.Context, came time.Time) {
	step := time.NewTimer(evenStep - time.Since(came)%evenStep)
	defer step.Stop()
	select {
	case <-step.C:
	case <-ctx.Done():
	}
}

// SubscribeAnswer is the answer to a subscription.
type SubscribeAnswer struct {
	// Topics are the ids of the stored choice; missing if there has never been one.
	Topics []string `json:"topics,omitzero"`
}

func (p *Public) subscribe(w http.ResponseWriter, r *http.Request, site PublicSite) error {
	came := time.Now()
	if err := p.limited(w, r, p.Limit, 1, "subscriptions"); err != nil {
		return err
	}
	body, err := exchange.ReadBody(w, r, MaxSubscribeBody, "application/json")
	if err != nil {
		return err
	}
	var req service.SubscribeRequest
	if err := exchange.Decode(body, &req, exchange.Lenient); err != nil {
		return err
	}
	v, err := p.visitor(r, site, "")
	if err != nil {
		return err
	}
	if err := p.Service.Known(v.browser); err != nil {
		return err
	}
	if req.SiteTopics = site.Topics; !v.browser.IsZero() {
		req.Device = v.browser.Device()
	}
	if err := p.mayBegin(w, r, site); err != nil {
		return err
	}
	row, err := exchange.Timely(r.Context(), &p.calls, func(ctx context.Context) (service.Subscribed, error) {
		return p.Service.Subscribe(ctx, site.Name, req)
	})
	even(r.Context(), came)
	if err != nil {
		return err
	}
	if err := p.setCookie(w, r, site, v); err != nil {
		return err
	}
	// No more about the row: an id would reveal whether the endpoint was known, and how many
	// subscribers the site has.
	exchange.WriteJSON(w, http.StatusCreated, SubscribeAnswer{row.Topics})
	return nil
}

func (p *Public) unsubscribe(w http.ResponseWriter, r *http.Request, site PublicSite) error {
	came := time.Now()
	// Not the limit of subscriptions: a client that may add no more may still unsubscribe.
	if err := p.limited(w, r, p.EventLimit, 1, "requests"); err != nil {
		return err
	}
	body, err := exchange.ReadBody(w, r, MaxSubscribeBody, "application/json")
	if err != nil {
		return err
	}
	var req service.ProofJSON
	if err := exchange.Decode(body, &req, exchange.Lenient); err != nil {
		return err
	}
	_, err = exchange.Timely(r.Context(), &p.calls, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, p.Service.Unsubscribe(ctx, site.Name, req)
	})
	even(r.Context(), came)
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (p *Public) events(w http.ResponseWriter, r *http.Request, site PublicSite) error {
	// sendBeacon sends text as text/plain, so beacons are accepted in both types.
	body, err := exchange.ReadBody(w, r, MaxEventsBody, "application/json", "text/plain")
	if err != nil {
		return err
	}
	if code, is, err := decodeFailure(body); err != nil {
		return err
	} else if is {
		return p.failure(w, r, site, code)
	}
	req, err := decodeRecord(body)
	if err != nil {
		return err
	}
	if req.Batch == "" {
		// A worker's reports on notifications, which have tokens of their own.
		if err := p.limited(w, r, p.EventLimit, costOf(len(body)), "events"); err != nil {
			return err
		}
		reports := make([]service.Report, len(req.Events))
		for i := range req.Events {
			reports[i] = req.Events[i].Report
		}
		_, err := exchange.Timely(r.Context(), &p.calls, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, p.Service.Track(ctx, site.Name, reports)
		})
		if err != nil {
			return err
		}
	} else if err := p.record(w, r, site, req, len(body)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
