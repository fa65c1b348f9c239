package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// MaxOperatorBody is the largest body the operator's API takes, in bytes: far
// more than a message may have.
const MaxOperatorBody = 64 << 10

// Page sizes of lists.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Operator is the operator's API. It has no authentication of its own: mount
// it where only operators come.
type Operator struct {
	// Failures are why browsers could not be subscribed; nil for none.
	Failures *Failures

	service *service.Service
	logger  *slog.Logger
	mux     *http.ServeMux
	calls   calls
	// idle is how long a client may take nothing of a long answer.
	idle time.Duration
}

// NewOperator makes the API's handler; its paths begin with /webpush/.
func NewOperator(s *service.Service, log *slog.Logger) *Operator {
	o := &Operator{service: s, logger: log, mux: http.NewServeMux(), idle: idleTimeout}
	for _, r := range append(o.routes(), o.popupRoutes()...) {
		o.mux.HandleFunc(r.pattern, o.dispatch(r.methods, untimed[r.pattern], verbatim[r.pattern]))
	}
	o.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		WriteProblem(w, problem(http.StatusNotFound, "there is no such endpoint: "+r.URL.Path))
	})
	return o
}

// untimed are the paths whose answers, or bodies, take as long as the store is large.
// The store itself gives up on a disk that does not answer.
var untimed = map[string]bool{
	"/webpush/backup": true, "/webpush/compact": true, "/webpush/sites/{site}/subscriptions": true,
	"/webpush/sites/{site}": true, "/webpush/sites/{site}/profiles/purge": true,
	"/webpush/sites/{site}/rename": true, "/webpush/sites/{site}/merge": true,
}

// verbatim are the paths that mean the very name of a site: all others take a former name
// for the site of now.
var verbatim = map[string]bool{"/webpush/sites/{site}": true, "/webpush/sites/{site}/rename": true, "/webpush/sites/{site}/merge": true}

// given is the site that an operator means.
func (o *Operator) given(site string, named bool) string {
	site = pushsvc.GivenSite(site)
	if name, err := pushsvc.SiteName(site); err == nil && !named {
		return o.service.CurrentSite(name)
	}
	return site
}

type handler func(w http.ResponseWriter, r *http.Request) error

type route struct {
	pattern string
	methods map[string]handler
}

// routes is the API: every path and method it answers.
func (o *Operator) routes() []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return []route{
		{"/webpush/health", map[string]handler{get: o.health}},
		{"/webpush/sites", map[string]handler{get: o.listSites}},
		{"/webpush/sites/{site}", map[string]handler{get: o.showSite, del: o.removeSite}},
		{"/webpush/sites/{site}/rename", map[string]handler{post: o.moveSite(false)}},
		{"/webpush/sites/{site}/merge", map[string]handler{post: o.moveSite(true)}},
		{"/webpush/sites/{site}/subscriptions", map[string]handler{get: o.subscriptions, post: o.importSubscriptions}},
		{"/webpush/sites/{site}/subscriptions/{id}", map[string]handler{del: o.deleteSubscription}},
		{"/webpush/sites/{site}/messages", map[string]handler{get: o.listMessages, post: o.sendToSite}},
		{"/webpush/sites/{site}/messages/{id}", map[string]handler{get: o.showMessage}},
		{"/webpush/sites/{site}/messages/{id}/pause", map[string]handler{post: o.control(pushsvc.CommandPause)}},
		{"/webpush/sites/{site}/messages/{id}/resume", map[string]handler{post: o.control(pushsvc.CommandResume)}},
		{"/webpush/sites/{site}/messages/{id}/cancel", map[string]handler{post: o.control(pushsvc.CommandCancel)}},
		{"/webpush/sites/{site}/profiles", map[string]handler{get: o.listProfiles}},
		{"/webpush/sites/{site}/profiles/search", map[string]handler{post: o.searchProfiles}},
		{"/webpush/sites/{site}/profiles/erase", map[string]handler{post: o.eraseIdentity}},
		{"/webpush/sites/{site}/profiles/purge", map[string]handler{post: o.purgeProfiles}},
		{"/webpush/sites/{site}/profiles/{id}", map[string]handler{get: o.exportProfile, del: o.eraseProfile}},
		{"/webpush/sites/{site}/events", map[string]handler{get: o.listEvents}},
		{"/webpush/sites/{site}/failures", map[string]handler{get: o.failures}},
		{"/webpush/sites/{site}/prompt", map[string]handler{get: o.showPrompt, put: o.setPrompt, del: o.resetPrompt}},
		{"/webpush/prompts", map[string]handler{get: o.listPrompts}},
		{"/webpush/send", map[string]handler{post: o.send}},
		{"/webpush/keys", map[string]handler{get: o.listKeys, post: o.importKey}},
		{"/webpush/keys/rotate", map[string]handler{post: o.rotateKey}},
		{"/webpush/backup", map[string]handler{get: o.backup}},
		{"/webpush/compact", map[string]handler{post: o.compact}},
	}
}

// dispatch picks the handler by method. http.ServeMux could, but its 405 is no
// problem detail.
func (o *Operator) dispatch(methods map[string]handler, untimed, named bool) http.HandlerFunc {
	allowed := make([]string, 0, len(methods))
	for m := range methods {
		allowed = append(allowed, m)
	}
	slices.Sort(allowed)
	return func(w http.ResponseWriter, r *http.Request) {
		h := methods[r.Method]
		if h == nil {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			WriteProblem(w, problem(http.StatusMethodNotAllowed, r.Method+" is not allowed here"))
			return
		}
		if site := r.PathValue("site"); site != "" {
			r.SetPathValue("site", o.given(site, named))
		}
		err := checkQuery(r)
		switch {
		case err != nil:
		case untimed:
			err = h(w, r)
		default:
			err = inTime(w, r, &o.calls, operatorTime, h)
		}
		if err != nil {
			fail(r.Context(), o.logger, w, err)
		}
	}
}

func (o *Operator) ServeHTTP(w http.ResponseWriter, r *http.Request) { o.mux.ServeHTTP(w, r) }

// health answers 200 where the store works, else 503 and why.
func (o *Operator) health(w http.ResponseWriter, r *http.Request) error {
	if err := o.service.Health(); err != nil {
		p := problem(http.StatusServiceUnavailable, "push does not work: "+err.Error())
		w.Header().Set("Retry-After", retryAfter)
		WriteProblem(w, p)
		return nil
	}
	writeJSON(w, http.StatusOK, struct {
		Healthy bool `json:"healthy"`
	}{true})
	return nil
}

func (o *Operator) listSites(w http.ResponseWriter, r *http.Request) error {
	all, err := queryFlag(r, "all")
	if err != nil {
		return err
	}
	if all {
		rows, err := o.service.AllSites(r.Context())
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, struct {
			Sites []service.SiteRow `json:"sites"`
		}{rows})
		return nil
	}
	sites, err := o.service.Store.Sites(r.Context())
	if err != nil {
		return fmt.Errorf("listing sites: %w", err)
	}
	if sites == nil {
		sites = []pushsvc.SiteSummary{}
	}
	writeJSON(w, http.StatusOK, struct {
		Sites []pushsvc.SiteSummary `json:"sites"`
	}{sites})
	return nil
}

func (o *Operator) showSite(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.Site(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, sum)
	return nil
}

func (o *Operator) decode(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := readBody(w, r, MaxOperatorBody, "application/json")
	if err != nil {
		return err
	}
	return decodeFilled(body, v)
}

// listed reads what every long list's request has: the site, as find knows it,
// and how many rows are wanted.
func listed[S any](r *http.Request, find func(context.Context, string) (S, error)) (sum S, limit int, err error) {
	if sum, err = find(r.Context(), r.PathValue("site")); err == nil {
		limit, err = pageLimit(r)
	}
	return sum, limit, err
}

func pageLimit(r *http.Request) (int, error) {
	s := r.FormValue("limit")
	if s == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxLimit {
		return 0, badField("limit", fmt.Sprintf("is not a number from 1 to %d", maxLimit))
	}
	return n, nil
}

// formatCursor hides that a cursor is an id: clients hand it back, no more.
func formatCursor(id pushsvc.SubscriptionID) string {
	return base64.RawURLEncoding.EncodeToString(binary.AppendUvarint(nil, uint64(id)))
}

func parseCursor(s string) (pushsvc.SubscriptionID, error) {
	if s == "" {
		return 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		if v, n := binary.Uvarint(raw); n > 0 && n == len(raw) {
			return pushsvc.SubscriptionID(v), nil
		}
	}
	return 0, badField("cursor", `is not one that an earlier page gave as "next"`)
}
