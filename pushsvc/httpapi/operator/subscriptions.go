package operator

import (
	"encoding/base64"
	"encoding/binary"
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
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
)

// exportForms are the forms of an export, by media type.
var exportForms = map[string]string{api.NDJSON: service.ExportNDJSON, "application/ndjson": service.ExportNDJSON, api.CSV: service.ExportCSV}

// subscriptions lists subscriptions without secrets, or exports them whole to a client that asks
// for NDJSON or CSV.
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
	media := api.NDJSON
	if form == service.ExportCSV {
		media = api.CSV + "; charset=utf-8; header=present"
	}
	return o.stream(w, r, media, "", func(out io.Writer) error {
		_, err := o.service.Export(r.Context(), r.PathValue("site"), form, out)
		return err
	})
}

// stream answers with the output of write. If that fails after it has begun, the connection is
// aborted, so that no client takes the part for the whole.
func (o *Operator) stream(w http.ResponseWriter, r *http.Request, media, name string, write func(io.Writer) error) error {
	out := &lateHeader{w: w, control: http.NewResponseController(w), idle: o.Idle, media: media, name: name}
	err := write(out)
	switch {
	case err == nil:
		_, _ = out.Write(nil) // an empty answer has a header too
		// The deadline covers what the server still holds; later answers on the connection have
		// their own.
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
	// The store is held open while this is written: a suspended client must not delay its closing.
	// Each write has the whole time again.
	_ = l.control.SetWriteDeadline(time.Now().Add(l.idle))
	n, err := l.w.Write(p)
	if err != nil {
		return n, fmt.Errorf("writing the answer: %w", err)
	}
	return n, nil
}

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
	exchange.WriteJSON(w, http.StatusOK, result)
	return nil
}

func importOptions(r *http.Request) (o service.ImportOptions, err error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(api.ImportMedia, media) {
		return o, api.NewProblem(http.StatusUnsupportedMediaType, "Content-Type must be one of "+strings.Join(api.ImportMedia, ", "))
	}
	// The first bytes decide whether the file is compressed, not the header.
	if ce := r.Header.Get("Content-Encoding"); ce != "" && !strings.EqualFold(ce, "identity") && !strings.EqualFold(ce, "gzip") {
		return o, api.NewProblem(http.StatusUnsupportedMediaType, "a body with this Content-Encoding is not accepted: use gzip, or unpack it first")
	}
	query := r.URL.Query()
	if o.Format, err = transfer.ParseFormat(query.Get("format")); err != nil {
		return o, api.FieldProblem("format", err.Error())
	}
	o.Key = query.Get("key")
	if o.DryRun, err = queryFlag(r, "dryRun"); err != nil {
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
		return false, api.FieldProblem(name, "is neither true nor false")
	}
	return v, nil
}

// withCounts adds to an error how far an import came before it failed.
func withCounts(err error, result api.Imported) error {
	p := exchange.AsProblem(err)
	if p.Status >= http.StatusInternalServerError || result.Rows == 0 {
		return err
	}
	partial := *p
	partial.Detail += fmt.Sprintf("; %d rows had been read and kept by then. Importing the whole file again is harmless", result.Rows)
	return &partial
}

// idleTimeout is how long the next bytes of a long body may take.
const idleTimeout = 30 * time.Second

// maxDrain is how much of an unwanted body is read, so that the client gets to reading the answer.
const maxDrain = 64 << 20

// steadyBody is a body that may take any time, as long as bytes keep arriving.
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
		return n, api.NewProblem(http.StatusRequestTimeout, fmt.Sprintf("no data arrived for %v", idleTimeout))
	default:
		return n, api.NewProblem(http.StatusBadRequest, "the body ended early")
	}
}

func (s *steadyBody) drain() { _, _ = io.CopyN(io.Discard, s, maxDrain) }

func (o *Operator) listSubscriptions(w http.ResponseWriter, r *http.Request) error {
	limit, err := pageLimit(r)
	if err != nil {
		return err
	}
	after, err := parseCursor(r.FormValue("cursor"))
	if err != nil {
		return err
	}
	rows, err := o.service.SubscriptionPage(r.Context(), r.PathValue("site"), after, limit)
	if err != nil {
		return err
	}
	list := api.SubscriptionList{Subscriptions: []api.Subscription{}}
	for _, s := range rows {
		list.Subscriptions = append(list.Subscriptions, api.Subscription{
			ID: strconv.FormatUint(uint64(s.ID), 10), Service: service.PushService(s.Endpoint), Key: s.KeyID,
			Created: s.Created.UTC(), Seen: s.Seen.UTC(), Expiration: s.Expiration.UTC(),
			Language: s.Language, TimeZone: s.TimeZone, Page: s.Page, Topics: s.Topics,
		})
	}
	if len(rows) == limit {
		list.Next = formatCursor(rows[limit-1].ID)
	}
	exchange.WriteJSON(w, http.StatusOK, list)
	return nil
}

// formatCursor hides that a cursor is an id: clients only return it.
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
	return 0, api.FieldProblem("cursor", `is not the "next" of an earlier page`)
}

func (o *Operator) deleteSubscription(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return pushsvc.ErrNotFound
	}
	if err := o.service.DeleteSubscription(r.Context(), r.PathValue("site"), pushsvc.SubscriptionID(id)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
