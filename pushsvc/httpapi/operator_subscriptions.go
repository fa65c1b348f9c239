package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
)

// Media types of exports.
const (
	ndjson   = "application/x-ndjson"
	csvTable = "text/csv"
)

// exportForms are the forms of an export, by media type.
var exportForms = map[string]string{ndjson: service.ExportNDJSON, "application/ndjson": service.ExportNDJSON, csvTable: service.ExportCSV}

// subscriptions lists them without secrets, or exports them whole to a client
// that asks for NDJSON or CSV.
func (o *Operator) subscriptions(w http.ResponseWriter, r *http.Request) error {
	for accept := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		media, _, err := mime.ParseMediaType(accept)
		if form := exportForms[media]; err == nil && form != "" {
			return o.exportSubscriptions(w, r, form)
		}
	}
	return o.listSubscriptions(w, r)
}

func (o *Operator) exportSubscriptions(w http.ResponseWriter, r *http.Request, form string) error {
	media := ndjson
	if form == service.ExportCSV {
		media = csvTable + "; charset=utf-8; header=present"
	}
	return o.stream(w, r, media, "", func(out io.Writer) error {
		_, err := o.service.Export(r.Context(), r.PathValue("site"), form, out)
		return err
	})
}

// stream answers with what write gives. Where that fails after it has begun,
// the connection is broken off, so that nobody takes the part for the whole.
func (o *Operator) stream(w http.ResponseWriter, r *http.Request, media, name string, write func(io.Writer) error) error {
	out := &lateHeader{w: w, control: http.NewResponseController(w), idle: o.idle, media: media, name: name}
	err := write(out)
	switch {
	case err == nil:
		_, _ = out.Write(nil) // an empty answer has a header too
		// What the server still holds has its time, and what comes after this
		// on the connection is not our business.
		_ = out.control.Flush()
		_ = out.control.SetWriteDeadline(time.Time{})
		return nil
	case !out.begun:
		return err
	}
	if r.Context().Err() == nil {
		o.logger.ErrorContext(r.Context(), "an answer was broken off", "path", r.Pattern, "error", err)
	}
	panic(http.ErrAbortHandler)
}

// lateHeader writes the header with the first bytes of the body, so that an
// error before them can be answered.
type lateHeader struct {
	w           http.ResponseWriter
	control     *http.ResponseController
	idle        time.Duration
	media, name string
	begun       bool
}

func (l *lateHeader) Write(p []byte) (int, error) {
	if !l.begun {
		l.begun = true
		h := l.w.Header()
		h.Set("Content-Type", l.media)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if l.name != "" {
			h.Set("Content-Disposition", `attachment; filename="`+l.name+`"`)
		}
		l.w.WriteHeader(http.StatusOK)
	}
	// The store is held open while this is written: a client that is suspended
	// must not hold up its end. Each write has the whole time anew.
	_ = l.control.SetWriteDeadline(time.Now().Add(l.idle))
	n, err := l.w.Write(p)
	if err != nil {
		return n, fmt.Errorf("writing the answer: %w", err)
	}
	return n, nil
}

// importTypes are the media types of files of subscriptions. What a file is,
// its bytes say.
var importTypes = []string{ndjson, "application/ndjson", "application/jsonl", "application/json", csvTable, "application/gzip", "application/x-gzip", "application/octet-stream"}

func (o *Operator) importSubscriptions(w http.ResponseWriter, r *http.Request) error {
	options, err := importOptions(r)
	if err != nil {
		return err
	}
	body := &steadyBody{body: r.Body, control: http.NewResponseController(w)}
	result, err := o.service.Import(r.Context(), r.PathValue("site"), body, options)
	if err != nil {
		body.drain()
		return withCounts(err, result)
	}
	writeJSON(w, http.StatusOK, result)
	return nil
}

func importOptions(r *http.Request) (o service.ImportOptions, err error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(importTypes, media) {
		return o, problem(http.StatusUnsupportedMediaType, "Content-Type must be one of "+strings.Join(importTypes, ", "))
	}
	// A packed file is unpacked by its first bytes, whatever the header says.
	if ce := r.Header.Get("Content-Encoding"); ce != "" && !strings.EqualFold(ce, "identity") && !strings.EqualFold(ce, "gzip") {
		return o, problem(http.StatusUnsupportedMediaType, "a body with this Content-Encoding is not taken: use gzip, or unpack it first")
	}
	query := r.URL.Query()
	if o.Format, err = transfer.ParseFormat(query.Get("format")); err != nil {
		return o, badField("format", err.Error())
	}
	o.Key = query.Get("key")
	if o.DryRun, err = queryFlag(r, "dry_run"); err != nil {
		return o, err
	}
	return o, nil
}

// queryFlag reads a query parameter that is true or false.
func queryFlag(r *http.Request, name string) (bool, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return false, nil
	}
	v, err := strconv.ParseBool(s)
	if err != nil {
		return false, badField(name, "is neither true nor false")
	}
	return v, nil
}

// withCounts says how far an import came before it failed.
func withCounts(err error, result service.Imported) error {
	p := asProblem(err)
	if p.Status >= http.StatusInternalServerError || result.Rows == 0 {
		return err
	}
	partial := *p
	partial.Detail += fmt.Sprintf("; %d rows had been read and kept by then. Importing the whole file again is harmless", result.Rows)
	return &partial
}

// idleTimeout is how long the next bytes of a long body may take.
const idleTimeout = 30 * time.Second

// maxDrain is how much of a body that nobody wants is read, so that the client
// comes to reading the answer.
const maxDrain = 64 << 20

// steadyBody is a body that may take for ever, as long as it goes on.
type steadyBody struct {
	body    io.Reader
	control *http.ResponseController
}

func (s *steadyBody) Read(p []byte) (int, error) {
	_ = s.control.SetReadDeadline(time.Now().Add(idleTimeout))
	n, err := s.body.Read(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		_ = s.control.SetReadDeadline(time.Time{})
		return n, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, problem(http.StatusRequestTimeout, fmt.Sprintf("nothing came for %v", idleTimeout))
	default:
		return n, problem(http.StatusBadRequest, "the body ended early")
	}
}

func (s *steadyBody) drain() { _, _ = io.CopyN(io.Discard, s, maxDrain) }

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
	// Topics are missing where there was never a choice.
	Topics []string `json:"topics,omitzero"`
}

func (o *Operator) listSubscriptions(w http.ResponseWriter, r *http.Request) error {
	sum, limit, err := listed(r, o.service.Site)
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
			Language: s.Language, TimeZone: s.TimeZone, Page: s.Page, Topics: s.Topics,
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
