package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// record stores a batch of so many bytes.
func (p *Public) record(w http.ResponseWriter, r *http.Request, site PublicSite, req service.RecordRequest, size int) error {
	if err := p.limited(w, r, p.EventLimit, recordCost(&req, size), "events"); err != nil {
		return err
	}
	// A batch's name is known only to its browser, and only until it is answered.
	seed := req.Seed
	if seed == "" {
		seed = req.Batch
	}
	v, err := p.visitor(r, site, seed)
	if err != nil {
		return err
	}
	if from := optsIn(req.Events); v.out && from >= 0 {
		req.Events = req.Events[from:] // not events from before the choice
		if err := p.begin(r, site, req.Batch, &v); err != nil {
			return err
		}
	}
	if v.browser.IsZero() {
		return nil // nothing about a visitor who must not be recognised
	}
	if err := p.mayBegin(w, r, site); err != nil {
		return err
	}
	from := service.Sender{Device: v.browser.Device(), Browser: v.browser, Secret: site.IdentitySecret}
	out, err := exchange.Timely(r.Context(), &p.calls, func(ctx context.Context) (people.Tracked, error) {
		return p.Service.Record(ctx, site.Name, from, req)
	})
	switch {
	case err != nil:
		return err
	case out.Forgotten:
		v.out = true
	case out.Replaced:
		if v.browser, err = p.Service.NextBrowser(r.Context(), site.Name, v.browser, req.Batch); err != nil {
			return err
		}
		v.set = true
	}
	p.charge(r, out.Work)
	return p.setCookie(w, r, site, v)
}

// optsIn returns the index of the entry by which the visitor opts in again, or a negative number if
// the last choice is another one, or no entry is a choice.
func optsIn(entries []service.EntryInput) int {
	for i, e := range slices.Backward(entries) {
		if e.Type != "optout" {
			continue
		}
		switch e.Value {
		case false:
			return i
		case true:
			return -1
		}
	}
	return -1
}

// decodeRecord decodes what browsers report. An entry of a batch that can't be read is left out and
// counted, because the browser would lose the rest too: it does not repeat a refused batch. Reports
// of workers are refused as a whole.
func decodeRecord(body []byte) (req service.RecordRequest, err error) {
	err = exchange.Decode(body, &req, exchange.Lenient)
	if err == nil && (req.Batch == "" || len(req.Events) <= people.MaxEntries) {
		return req, nil
	}
	if !utf8.Valid(body) {
		return req, err
	}
	return decodeEntries(body)
}

// decodeEntries decodes one entry after the other.
func decodeEntries(body []byte) (req service.RecordRequest, err error) {
	var raw struct {
		Batch   string           `json:"batch"`
		Session string           `json:"session"`
		Seed    string           `json:"seed"`
		Sent    float64          `json:"sent"`
		Events  []jsontext.Value `json:"events"`
	}
	// A name that occurs twice in an entry is that entry's fault.
	if err := json.Unmarshal(body, &raw, exchange.Lenient, jsontext.AllowDuplicateNames(true)); err != nil {
		return req, exchange.JSONProblem(body, &raw, err)
	}
	if raw.Batch == "" {
		return req, exchange.Decode(body, &req, exchange.Lenient)
	}
	if err := checkTopNames(body); err != nil {
		return req, err
	}
	if len(raw.Events) > people.MaxEntries {
		return req, api.FieldProblem("events", fmt.Sprintf("has more than %d entries", people.MaxEntries))
	}
	req = service.RecordRequest{Batch: raw.Batch, Session: raw.Session, Seed: raw.Seed, Sent: raw.Sent}
	for _, text := range raw.Events {
		var e service.EntryInput
		if err := exchange.Decode(text, &e, exchange.Lenient); err != nil {
			req.Malformed++
			continue
		}
		req.Events = append(req.Events, e)
	}
	return req, nil
}

// checkTopNames refuses an object that names one of its own members twice. The members' values are
// not read.
func checkTopNames(body []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(body), exchange.Lenient, jsontext.AllowDuplicateNames(true))
	names := map[string]bool{}
	if _, err := dec.ReadToken(); err != nil {
		return exchange.JSONProblem(body, nil, err)
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return exchange.JSONProblem(body, nil, err)
		}
		if names[name.String()] {
			return api.FieldProblem(name.String(), exchange.NamedTwice)
		}
		names[name.String()] = true
		if err := dec.SkipValue(); err != nil {
			return exchange.JSONProblem(body, nil, err)
		}
	}
	return nil
}
