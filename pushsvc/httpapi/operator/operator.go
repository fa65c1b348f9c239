// Package operator is the HTTP side of the operator's API, whose routes and types are those
// of package api.
package operator

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// MaxBody is the largest body the operator's API takes, in bytes: far
// more than a message may have.
const MaxBody = 64 << 10

// Page sizes of lists.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// operatorTime is how long a request may take, except those whose time depends on the size of the
// store. It is longer than the store itself waits for its disk.
const operatorTime = 15 * time.Second

// Operator is the operator's API. It has no authentication of its own: mount it where only
// operators have access.
type Operator struct {
	// Failures are why browsers could not be subscribed; nil if they are not counted.
	Failures interface {
		// Counts returns a site's counts.
		Counts(site string) api.FailureCounts
	}

	// Idle is how long a client may stop reading a long answer.
	Idle time.Duration

	service *service.Service
	logger  *slog.Logger
	mux     *http.ServeMux
	calls   exchange.Calls
}

// New makes the API's handler; it answers the routes of package api.
func New(s *service.Service, log *slog.Logger) *Operator {
	o := &Operator{service: s, logger: log, mux: http.NewServeMux(), Idle: idleTimeout}
	handlers := o.handlers()
	paths := map[string]map[string]handler{}
	for _, r := range api.Routes {
		h := handlers[r.Name]
		if h == nil {
			panic("operator: no handler of route " + r.Name)
		}
		if paths[r.Path] == nil {
			paths[r.Path] = map[string]handler{}
		}
		paths[r.Path][r.Method] = o.prepared(r.Name, named(r.Path, h))
	}
	for path, methods := range paths {
		o.mux.HandleFunc(path, o.dispatch(methods))
	}
	o.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p := api.NewProblem(http.StatusNotFound, "there is no such path: "+r.URL.Path+"; GET /webpush/openapi.json lists them")
		p.Code = api.CodeNoRoute
		exchange.WriteProblem(w, p)
	})
	return o
}

// untimed are the routes whose answers, or bodies, take a time that depends on the size of the
// store. The store itself stops waiting for a disk that does not answer.
var untimed = []string{
	"backup", "compact", "listSubscriptions", "importSubscriptions", "removeSite", "renameSite", "mergeSite", "purgeProfiles",
}

// verbatim are the routes that take a site's name literally: all others replace a former name with
// the present one.
var verbatim = []string{"showSite", "removeSite", "renameSite", "mergeSite"}

// given returns the site that an operator means.
func (o *Operator) given(site string, named bool) string {
	site = pushsvc.GivenSite(site)
	if name, err := pushsvc.SiteName(site); err == nil && !named {
		return o.service.CurrentSite(name)
	}
	return site
}

type handler = exchange.Handler

// listed are what the routes' collections have: what one is called, and the command that lists them.
var listed = map[string]struct{ noun, command string }{
	"subscriptions": {"subscriber", "subscribers"},
	"messages":      {"message", "messages"},
	"profiles":      {"profile", "profiles"},
	"popups":        {"pop-up", "popups"},
	"uploads":       {"image", "popups uploads"},
}

var ofOne = regexp.MustCompile(`^/webpush/sites/\{site\}/([a-z]+)/\{(id|name)\}`)

// named wraps the handler of a path of one thing, such as a message: if the site does not have it,
// the error names it and the command that lists those that it has.
func named(path string, h handler) handler {
	parts := ofOne.FindStringSubmatch(path)
	if parts == nil {
		return h
	}
	one := listed[parts[1]]
	if one.noun == "" {
		panic("operator: nothing lists what " + path + " names")
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		if err == nil || exchange.AsProblem(err).Code != api.CodeNotFound {
			return err
		}
		site := r.PathValue("site")
		p := api.NewProblem(http.StatusNotFound, fmt.Sprintf("site %s has no %s %q; 'caddy webpush %s --site %[1]s' lists those that it has", site, one.noun, r.PathValue(parts[2]), one.command))
		p.Code = api.CodeNotFound
		return p
	}
}

// handlers returns the routes' handlers, by name.
func (o *Operator) handlers() map[string]handler {
	return map[string]handler{
		"health": o.health, "openapi": o.openAPI, "backup": o.backup, "compact": o.compact,
		"listSites": o.listSites, "showSite": o.showSite, "removeSite": o.removeSite, "failures": o.failures,
		"renameSite": o.moveSite(false), "mergeSite": o.moveSite(true),
		"listSubscriptions": o.subscriptions, "importSubscriptions": o.importSubscriptions, "deleteSubscription": o.deleteSubscription,
		"send": o.send, "sendToSite": o.sendToSite, "listMessages": o.listMessages, "showMessage": o.showMessage,
		"pauseMessage": o.control(pushsvc.CommandPause), "resumeMessage": o.control(pushsvc.CommandResume), "cancelMessage": o.control(pushsvc.CommandCancel),
		"listProfiles": o.listProfiles, "searchProfiles": o.searchProfiles, "eraseIdentity": o.eraseIdentity, "purgeProfiles": o.purgeProfiles,
		"exportProfile": o.exportProfile, "eraseProfile": o.eraseProfile, "listEvents": o.listEvents,
		"listPrompts": o.listPrompts, "showPrompt": o.showPrompt, "setPrompt": o.setPrompt, "resetPrompt": o.resetPrompt,
		"listPopups": o.listPopups, "createPopup": o.createPopup, "showPopup": o.showPopup, "putPopup": o.putPopup, "deletePopup": o.deletePopup,
		"setPopupState": o.setPopupState, "popupStats": o.popupStats, "previewPopup": o.previewPopup,
		"showPopupSettings": o.showPopupSettings, "setPopupSettings": o.setPopupSettings,
		"listUploads": o.listUploads, "upload": o.upload, "deleteUpload": o.deleteUpload,
		"listKeys": o.listKeys, "importKey": o.importKey, "rotateKey": o.rotateKey,
	}
}

// prepared wraps the handler of a route: it finds the site that is meant and sets the time limit.
func (o *Operator) prepared(route string, h handler) handler {
	named, timed := slices.Contains(verbatim, route), !slices.Contains(untimed, route)
	return func(w http.ResponseWriter, r *http.Request) error {
		if site := r.PathValue("site"); site != "" {
			r.SetPathValue("site", o.given(site, named))
		}
		if err := exchange.CheckQuery(r); err != nil {
			return err
		}
		if timed {
			return exchange.InTime(w, r, &o.calls, operatorTime, h)
		}
		return h(w, r)
	}
}

// dispatch picks the handler by method. http.ServeMux could, but its 405 has no problem details.
func (o *Operator) dispatch(methods map[string]handler) http.HandlerFunc {
	allowed := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		h := methods[r.Method]
		if h == nil {
			w.Header().Set("Allow", allowed)
			p := api.NewProblem(http.StatusMethodNotAllowed, r.Method+" is not allowed here")
			p.Code = api.CodeNoRoute
			exchange.WriteProblem(w, p)
			return
		}
		if err := h(w, r); err != nil {
			exchange.Fail(r.Context(), o.logger, w, err)
		}
	}
}

func (o *Operator) ServeHTTP(w http.ResponseWriter, r *http.Request) { o.mux.ServeHTTP(w, r) }

// health answers 200 if the store works, else 503 and the reason.
func (o *Operator) health(w http.ResponseWriter, r *http.Request) error {
	if err := o.service.Health(); err != nil {
		p := api.NewProblem(http.StatusServiceUnavailable, "push does not work: "+err.Error())
		w.Header().Set("Retry-After", exchange.RetryAfter)
		exchange.WriteProblem(w, p)
		return nil
	}
	exchange.WriteJSON(w, http.StatusOK, api.Health{Healthy: true})
	return nil
}

// openAPI answers with the API's document.
func (o *Operator) openAPI(w http.ResponseWriter, _ *http.Request) error {
	exchange.WriteJSON(w, http.StatusOK, json.RawMessage(api.OpenAPI))
	return nil
}

func (o *Operator) listSites(w http.ResponseWriter, r *http.Request) error {
	rows, err := o.service.AllSites(r.Context())
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, api.SiteList{Sites: rows})
	return nil
}

func (o *Operator) showSite(w http.ResponseWriter, r *http.Request) error {
	row, err := o.service.Site(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, row)
	return nil
}

func (o *Operator) decode(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := exchange.ReadBody(w, r, MaxBody, "application/json")
	if err != nil {
		return err
	}
	return exchange.DecodeFilled(body, v)
}

func pageLimit(r *http.Request) (int, error) {
	s := r.FormValue("limit")
	if s == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxLimit {
		return 0, api.FieldProblem("limit", fmt.Sprintf("is not a number from 1 to %d", maxLimit))
	}
	return n, nil
}
