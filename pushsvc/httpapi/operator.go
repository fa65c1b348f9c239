package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
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
	service *service.Service
	logger  *slog.Logger
	mux     *http.ServeMux
}

// NewOperator makes the API's handler; its paths begin with /webpush/.
func NewOperator(s *service.Service, log *slog.Logger) *Operator {
	o := &Operator{service: s, logger: log, mux: http.NewServeMux()}
	for _, r := range o.routes() {
		o.mux.HandleFunc(r.pattern, o.dispatch(r.methods))
	}
	o.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		WriteProblem(w, problem(http.StatusNotFound, "there is no such endpoint: "+r.URL.Path))
	})
	return o
}

type handler func(w http.ResponseWriter, r *http.Request) error

type route struct {
	pattern string
	methods map[string]handler
}

// routes is the API: every path and method it answers.
func (o *Operator) routes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	return []route{
		{"/webpush/sites", map[string]handler{get: o.listSites}},
		{"/webpush/sites/{site}", map[string]handler{get: o.showSite}},
		{"/webpush/sites/{site}/subscriptions", map[string]handler{get: o.listSubscriptions}},
		{"/webpush/sites/{site}/subscriptions/{id}", map[string]handler{del: o.deleteSubscription}},
		{"/webpush/sites/{site}/messages", map[string]handler{get: o.listMessages, post: o.sendToSite}},
		{"/webpush/sites/{site}/messages/{id}", map[string]handler{get: o.showMessage}},
		{"/webpush/send", map[string]handler{post: o.send}},
		{"/webpush/keys", map[string]handler{get: o.listKeys, post: o.importKey}},
	}
}

// dispatch picks the handler by method. http.ServeMux could, but its 405 is no
// problem detail.
func (o *Operator) dispatch(methods map[string]handler) http.HandlerFunc {
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
		if err := h(w, r); err != nil {
			fail(r.Context(), o.logger, w, err)
		}
	}
}

func (o *Operator) ServeHTTP(w http.ResponseWriter, r *http.Request) { o.mux.ServeHTTP(w, r) }

func (o *Operator) listSites(w http.ResponseWriter, r *http.Request) error {
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

// sendBody is POST /webpush/send: a message with the site it goes to.
type sendBody struct {
	Site string `json:"site"`
	pushsvc.Content
}

func (o *Operator) send(w http.ResponseWriter, r *http.Request) error {
	var body sendBody
	if err := o.decode(w, r, &body); err != nil {
		return err
	}
	if body.Site == "" {
		return badField("site", `is missing: it names the site to send to, such as "shop.example.com"`)
	}
	return o.accept(w, r, body.Site, body.Content)
}

func (o *Operator) sendToSite(w http.ResponseWriter, r *http.Request) error {
	var content pushsvc.Content
	if err := o.decode(w, r, &content); err != nil {
		return err
	}
	return o.accept(w, r, r.PathValue("site"), content)
}

func (o *Operator) decode(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := readBody(w, r, MaxOperatorBody, "application/json")
	if err != nil {
		return err
	}
	return decodeJSON(body, v, true)
}

// accept stores the message and answers 202, or 200 where the idempotency key
// has been seen.
func (o *Operator) accept(w http.ResponseWriter, r *http.Request, site string, content pushsvc.Content) error {
	site, err := pushsvc.SiteName(site)
	if err != nil {
		return badField("site", err.Error())
	}
	hash, err := requestHash(site, content)
	if err != nil {
		return err
	}
	sent, err := o.service.Send(r.Context(), site, content, r.Header.Get("Idempotency-Key"), hash)
	if err != nil {
		return err
	}
	status := http.StatusAccepted
	if !sent.Created {
		status = http.StatusOK
	}
	view := viewMessage(sent.Message)
	view.Warnings = sent.Warnings
	w.Header().Set("Location", "/webpush/sites/"+url.PathEscape(sent.Message.Site)+"/messages/"+sent.Message.ID)
	writeJSON(w, status, view)
	return nil
}

// requestHash is over what the request means, so that other white space, or
// another spelling of the site, is the same request.
func requestHash(site string, content pushsvc.Content) ([32]byte, error) {
	b, err := json.Marshal(sendBody{site, content})
	if err != nil {
		return [32]byte{}, fmt.Errorf("hashing the request: %w", err)
	}
	return sha256.Sum256(b), nil
}

// messageView is a message as operators see it.
type messageView struct {
	ID       string           `json:"id"`
	Site     string           `json:"site"`
	State    pushsvc.State    `json:"state"`
	Created  time.Time        `json:"created"`
	Started  *time.Time       `json:"started,omitempty"`
	Finished *time.Time       `json:"finished,omitempty"`
	Message  pushsvc.Content  `json:"message"`
	Results  pushsvc.Progress `json:"results"`
	Warnings []string         `json:"warnings,omitempty"`
}

func viewMessage(m pushsvc.Message) messageView {
	v := messageView{
		ID: m.ID, Site: m.Site, State: m.State, Created: m.Created.UTC(),
		Started: optionalTime(m.Started), Finished: optionalTime(m.Finished),
		Message: m.Content, Results: m.Progress,
	}
	if v.Results.Failed == nil {
		v.Results.Failed = map[string]int64{}
	}
	return v
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (o *Operator) showMessage(w http.ResponseWriter, r *http.Request) error {
	site, err := pushsvc.SiteName(r.PathValue("site"))
	if err != nil {
		return badField("site", err.Error())
	}
	m, err := o.service.Store.Message(r.Context(), site, r.PathValue("id"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewMessage(m))
	return nil
}

func (o *Operator) listMessages(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.Site(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	limit, err := pageLimit(r)
	if err != nil {
		return err
	}
	rows, err := o.service.Store.MessagePage(r.Context(), sum.Site, r.FormValue("cursor"), limit)
	if err != nil {
		return fmt.Errorf("listing messages: %w", err)
	}
	list := struct {
		Messages []messageView `json:"messages"`
		Next     string        `json:"next,omitempty"`
	}{Messages: []messageView{}}
	for _, m := range rows {
		list.Messages = append(list.Messages, viewMessage(m))
	}
	if len(rows) == limit {
		list.Next = rows[limit-1].ID
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// subscriptionView is a subscription without its secrets.
type subscriptionView struct {
	ID         string     `json:"id"`
	Service    string     `json:"service"`
	KeyID      string     `json:"key"`
	Created    time.Time  `json:"created"`
	Seen       time.Time  `json:"seen"`
	Expiration *time.Time `json:"expiration,omitempty"`
	Language   string     `json:"language,omitempty"`
	TimeZone   string     `json:"timeZone,omitempty"`
	Page       string     `json:"page,omitempty"`
}

func (o *Operator) listSubscriptions(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.Site(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	limit, err := pageLimit(r)
	if err != nil {
		return err
	}
	after, err := parseCursor(r.FormValue("cursor"))
	if err != nil {
		return err
	}
	rows, err := o.service.Store.SubscriptionPage(r.Context(), sum.Site, after, limit)
	if err != nil {
		return fmt.Errorf("listing subscriptions: %w", err)
	}
	list := struct {
		Subscriptions []subscriptionView `json:"subscriptions"`
		Next          string             `json:"next,omitempty"`
	}{Subscriptions: []subscriptionView{}}
	for _, s := range rows {
		list.Subscriptions = append(list.Subscriptions, subscriptionView{
			ID: strconv.FormatUint(uint64(s.ID), 10), Service: service.PushService(s.Endpoint), KeyID: s.KeyID,
			Created: s.Created.UTC(), Seen: s.Seen.UTC(), Expiration: optionalTime(s.Expiration),
			Language: s.Language, TimeZone: s.TimeZone, Page: s.Page,
		})
	}
	if len(rows) == limit {
		list.Next = formatCursor(rows[limit-1].ID)
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

func (o *Operator) deleteSubscription(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.Site(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return pushsvc.ErrNotFound
	}
	if err := o.service.Store.DeleteSubscription(r.Context(), sum.Site, pushsvc.SubscriptionID(id)); err != nil {
		return fmt.Errorf("removing the subscription: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (o *Operator) listKeys(w http.ResponseWriter, r *http.Request) error {
	keys, err := o.service.Store.Keys(r.Context())
	if err != nil {
		return fmt.Errorf("listing keys: %w", err)
	}
	if keys == nil {
		keys = []pushsvc.Key{}
	}
	writeJSON(w, http.StatusOK, struct {
		Keys []pushsvc.Key `json:"keys"`
	}{keys})
	return nil
}

func (o *Operator) importKey(w http.ResponseWriter, r *http.Request) error {
	// A plain string: a Secret's MarshalText must not have a way back.
	var body struct {
		Public  string `json:"public_key"`
		Private string `json:"private_key"`
	}
	if err := o.decode(w, r, &body); err != nil {
		return err
	}
	for _, f := range []struct{ name, value string }{{"public_key", body.Public}, {"private_key", body.Private}} {
		if f.value == "" {
			return badField(f.name, "is missing: import takes a pair, each half in base64url")
		}
	}
	key, err := o.service.ImportKey(r.Context(), body.Public, pushsvc.Secret(body.Private))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, key)
	return nil
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
