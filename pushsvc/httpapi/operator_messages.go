package httpapi

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// sendBody is a request to send: the message, and who gets it, when and how
// fast.
type sendBody struct {
	// Site is in the body of POST /webpush/send alone.
	Site string `json:"site,omitempty"`
	pushsvc.Content
	SendAt string   `json:"send_at,omitempty"`
	Rate   *float64 `json:"rate,omitempty"`
	// Subscription is the id of the one to send to, as lists have it.
	Subscription string `json:"subscription,omitempty"`
	// Topics are whom to send to: who has chosen one of them.
	Topics []string `json:"topics,omitempty"`
	// Literal sends what looks like a template as it is.
	Literal bool `json:"literal,omitempty"`
	DryRun  bool `json:"dry_run,omitempty"`
}

// request reads what is text.
func (b *sendBody) request() (service.SendRequest, error) {
	r := service.SendRequest{Site: b.Site, Content: b.Content, Rate: b.Rate, Topics: b.Topics, Literal: b.Literal}
	if b.SendAt != "" {
		at, err := time.Parse(time.RFC3339, b.SendAt)
		if err != nil {
			return r, badField("send_at", `is no time with a time zone as RFC 3339 writes it, such as "2026-11-24T09:00:00+01:00"`)
		}
		r.SendAt = at.UTC()
	}
	if b.Subscription != "" {
		id, err := strconv.ParseUint(b.Subscription, 10, 64)
		if err != nil || id == 0 {
			return r, badField("subscription", "is no id of a subscription as the site's list has it")
		}
		r.Only = pushsvc.SubscriptionID(id)
	}
	return r, nil
}

func (o *Operator) send(w http.ResponseWriter, r *http.Request) error {
	var body sendBody
	if err := o.decode(w, r, &body); err != nil {
		return err
	}
	if body.Site == "" {
		return badField("site", `is missing: it names the site to send to, such as "shop.example.com"`)
	}
	return o.accept(w, r, body)
}

func (o *Operator) sendToSite(w http.ResponseWriter, r *http.Request) error {
	var body sendBody
	if err := o.decode(w, r, &body); err != nil {
		return err
	}
	if body.Site != "" {
		return badField("site", "is in the path: leave it out of the body")
	}
	body.Site = r.PathValue("site")
	return o.accept(w, r, body)
}

// accept stores the message and answers 202, or 200 where the idempotency key
// has been seen. A dry run answers 200 and stores nothing.
func (o *Operator) accept(w http.ResponseWriter, r *http.Request, body sendBody) error {
	var err error
	if body.Site, err = pushsvc.SiteName(pushsvc.GivenSite(body.Site)); err != nil {
		return badField("site", err.Error())
	}
	body.Site = o.service.CurrentSite(body.Site)
	req, err := body.request()
	if err != nil {
		return err
	}
	if body.DryRun {
		return o.dryRun(w, r, req)
	}
	req.IdempotencyKey = r.Header.Get("Idempotency-Key")
	if req.IdempotencyKey == "" && len(r.Header["Idempotency-Key"]) > 0 {
		return badField("Idempotency-Key", "is empty: "+emptyCure)
	}
	if req.RequestHash, err = body.hash(); err != nil {
		return err
	}
	sent, err := o.service.Send(r.Context(), req)
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

func (o *Operator) dryRun(w http.ResponseWriter, r *http.Request, req service.SendRequest) error {
	run, err := o.service.DryRun(r.Context(), req)
	if err != nil {
		return err
	}
	view := viewMessage(run.Message)
	view.DryRun, view.Warnings = true, run.Warnings
	view.Audience = &audienceView{run.Audience.Total, run.Audience.Services}
	writeJSON(w, http.StatusOK, view)
	return nil
}

// hash is over what the request means, so that other white space, or another
// spelling or name of the site, is the same request: a key counts per site.
func (b sendBody) hash() ([32]byte, error) {
	b.Site = ""
	text, err := json.Marshal(b)
	if err != nil {
		return [32]byte{}, fmt.Errorf("hashing the request: %w", err)
	}
	return sha256.Sum256(text), nil
}

// messageView is a message as operators see it.
type messageView struct {
	ID           string          `json:"id,omitempty"`
	DryRun       bool            `json:"dry_run,omitempty"`
	Site         string          `json:"site"`
	State        pushsvc.State   `json:"state"`
	Created      time.Time       `json:"created"`
	SendAt       *time.Time      `json:"send_at,omitempty"`
	Started      *time.Time      `json:"started,omitempty"`
	Finished     *time.Time      `json:"finished,omitempty"`
	NextTry      *time.Time      `json:"next_try,omitempty"`
	Expires      time.Time       `json:"expires"`
	Rate         float64         `json:"rate,omitempty"`
	Subscription string          `json:"subscription,omitempty"`
	Topics       []string        `json:"topics,omitempty"`
	Message      pushsvc.Content `json:"message"`
	// Audience is in the answer to a dry run alone.
	Audience *audienceView    `json:"audience,omitempty"`
	Results  pushsvc.Progress `json:"results"`
	Warnings []string         `json:"warnings,omitempty"`
}

// audienceView is who would get a message.
type audienceView struct {
	Total    int64            `json:"total"`
	Services map[string]int64 `json:"services"`
}

func viewMessage(m pushsvc.Message) messageView {
	v := messageView{
		ID: m.ID, Site: m.Site, State: m.State, Created: m.Created.UTC(),
		SendAt: optionalTime(m.SendAt), Started: optionalTime(m.Started), Finished: optionalTime(m.Finished),
		NextTry: optionalTime(m.NextTry), Rate: m.Rate, Topics: m.Topics, Message: m.Content, Results: m.Progress,
		Expires: m.LifeBegins().Add(time.Duration(m.Content.TTLSeconds()) * time.Second).UTC(),
	}
	if m.Only != 0 {
		v.Subscription = strconv.FormatUint(uint64(m.Only), 10)
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
	sum, limit, err := listed(r, o.service.Site)
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

// control makes the handler of a command. The request needs no body.
func (o *Operator) control(command pushsvc.Command) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		m, err := o.service.Control(r.Context(), r.PathValue("site"), r.PathValue("id"), command)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, viewMessage(m))
		return nil
	}
}
