package operator

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// sendRequest parses the members of a request to send that are text.
func sendRequest(in api.SendRequest) (service.SendRequest, error) {
	r := service.SendRequest{Site: in.Site, Content: in.Content, Rate: in.Rate, Topics: in.Topics, Literal: in.Literal}
	if in.SendAt != "" {
		at, err := time.Parse(time.RFC3339, in.SendAt)
		if err != nil {
			return r, api.FieldProblem("sendAt", `is not a time with a time zone in the form of RFC 3339, such as "2026-11-24T09:00:00+01:00"`)
		}
		r.SendAt = at.UTC()
	}
	if in.Subscription != "" {
		id, err := strconv.ParseUint(in.Subscription, 10, 64)
		if err != nil || id == 0 {
			return r, api.FieldProblem("subscription", "is not the id of a subscription from the site's list")
		}
		r.Only = pushsvc.SubscriptionID(id)
	}
	return r, nil
}

func (o *Operator) send(w http.ResponseWriter, r *http.Request) error {
	var body api.SendRequest
	if err := o.decode(w, r, &body); err != nil {
		return err
	}
	if body.Site == "" {
		return api.FieldProblem("site", `is missing: it names the site to send to, such as "shop.example.com"`)
	}
	return o.accept(w, r, body)
}

func (o *Operator) sendToSite(w http.ResponseWriter, r *http.Request) error {
	var body api.SendRequest
	if err := o.decode(w, r, &body); err != nil {
		return err
	}
	if body.Site != "" {
		return api.FieldProblem("site", "is in the path: leave it out of the body")
	}
	body.Site = r.PathValue("site")
	return o.accept(w, r, body)
}

// accept stores the message and answers 202, or 200 where the idempotency key
// has been seen. A dry run answers 200 and stores nothing.
func (o *Operator) accept(w http.ResponseWriter, r *http.Request, body api.SendRequest) error {
	var err error
	if body.Site, err = pushsvc.SiteName(pushsvc.GivenSite(body.Site)); err != nil {
		return api.FieldProblem("site", err.Error())
	}
	body.Site = o.service.CurrentSite(body.Site)
	req, err := sendRequest(body)
	if err != nil {
		return err
	}
	if body.DryRun {
		return o.dryRun(w, r, req)
	}
	req.IdempotencyKey = r.Header.Get("Idempotency-Key")
	if req.IdempotencyKey == "" && len(r.Header["Idempotency-Key"]) > 0 {
		return api.FieldProblem("Idempotency-Key", "is empty: "+exchange.EmptyCure)
	}
	if req.RequestHash, err = hash(body); err != nil {
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
	exchange.WriteJSON(w, status, view)
	return nil
}

func (o *Operator) dryRun(w http.ResponseWriter, r *http.Request, req service.SendRequest) error {
	run, err := o.service.DryRun(r.Context(), req)
	if err != nil {
		return err
	}
	view := viewMessage(run.Message)
	view.DryRun, view.Warnings = true, run.Warnings
	view.Audience = &api.Audience{Total: run.Audience.Total, Services: run.Audience.Services}
	exchange.WriteJSON(w, http.StatusOK, view)
	return nil
}

// hash is over the meaning of a request: with other white space, or another spelling or name of the
// site, it is the same request. A key counts per site.
func hash(b api.SendRequest) ([32]byte, error) {
	b.Site = ""
	text, err := json.Marshal(b)
	if err != nil {
		return [32]byte{}, fmt.Errorf("hashing the request: %w", err)
	}
	return sha256.Sum256(text), nil
}

// viewMessage returns a message as operators see it.
func viewMessage(m pushsvc.Message) api.Message {
	v := api.Message{
		ID: m.ID, Site: m.Site, State: m.State, Created: m.Created.UTC(),
		SendAt: m.SendAt.UTC(), Started: m.Started.UTC(), Finished: m.Finished.UTC(),
		NextTry: m.NextTry.UTC(), Rate: m.Rate, Topics: m.Topics, Message: m.Content, Results: m.Progress,
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

func (o *Operator) showMessage(w http.ResponseWriter, r *http.Request) error {
	m, err := o.service.Message(r.Context(), r.PathValue("site"), r.PathValue("id"))
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, viewMessage(m))
	return nil
}

func (o *Operator) listMessages(w http.ResponseWriter, r *http.Request) error {
	limit, err := pageLimit(r)
	if err != nil {
		return err
	}
	rows, err := o.service.MessagePage(r.Context(), r.PathValue("site"), r.FormValue("cursor"), limit)
	if err != nil {
		return err
	}
	list := api.MessageList{Messages: []api.Message{}}
	for _, m := range rows {
		list.Messages = append(list.Messages, viewMessage(m))
	}
	if len(rows) == limit {
		list.Next = rows[limit-1].ID
	}
	exchange.WriteJSON(w, http.StatusOK, list)
	return nil
}

// control makes the handler of a command. The request needs no body.
func (o *Operator) control(command pushsvc.Command) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		m, err := o.service.Control(r.Context(), r.PathValue("site"), r.PathValue("id"), command)
		if err != nil {
			return err
		}
		exchange.WriteJSON(w, http.StatusOK, viewMessage(m))
		return nil
	}
}
