// Package httpapi speaks HTTP for the push service: the public endpoints that
// browsers post to on a site's own origin, and the operator's API. Both answer
// errors as problem details (RFC 9457).
package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
)

// Problem is an RFC 9457 problem detail. Field is our extension member: the
// path of the field at fault, where there is one.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Field  string `json:"field,omitempty"`
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// NewProblem is a problem that its status and a sentence tell all about.
func NewProblem(status int, detail string) *Problem { return problem(status, detail) }

func problem(status int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

func badField(field, why string) *Problem {
	p := problem(http.StatusBadRequest, field+" "+why)
	p.Field = field
	return p
}

// retryAfter is what a client is told to wait, in seconds, while the store
// cannot be used.
const retryAfter = "10"

// retryFull is the same where there is no room: that lasts.
const retryFull = "300"

// asProblem maps an error of the lower packages to what the client may know of
// it. What is not the client's to know becomes a 503 and is logged by fail.
func asProblem(err error) *Problem {
	var p *Problem
	var field *pushsvc.FieldError
	var site *service.UnknownSiteError
	var unconfigured *service.UnconfiguredSiteError
	var state *service.StateError
	var inUse *service.SiteInUseError
	var format *transfer.FormatError
	var taken *service.SiteTakenError
	var name *pushsvc.SiteNameError
	var busy *pushsvc.SiteBusyError
	var none *service.NoSiteError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &field):
		return badField(field.Field, field.Problem)
	case errors.As(err, &site):
		return problem(http.StatusNotFound, site.Error())
	case errors.As(err, &unconfigured):
		return problem(http.StatusNotFound, unconfigured.Error())
	case errors.Is(err, pushsvc.ErrRevision):
		return problem(http.StatusPreconditionFailed, "somebody has changed this since you read it: read it again, and write with the ETag of that answer")
	case errors.Is(err, service.ErrTooManySites):
		return problem(http.StatusServiceUnavailable, service.ErrTooManySites.Error())
	case errors.Is(err, service.ErrNoRoom):
		return problem(http.StatusInsufficientStorage, service.ErrNoRoom.Error())
	case errors.As(err, &inUse):
		return problem(http.StatusConflict, inUse.Error())
	case errors.As(err, &taken):
		return problem(http.StatusConflict, taken.Error())
	case errors.As(err, &name):
		return problem(http.StatusConflict, name.Error())
	case errors.As(err, &none):
		return problem(http.StatusNotFound, none.Error())
	case errors.As(err, &busy):
		return problem(http.StatusConflict, busy.Error())
	case errors.Is(err, pushsvc.ErrSiteMoving):
		return problem(http.StatusConflict, pushsvc.ErrSiteMoving.Error())
	case errors.Is(err, popup.ErrFull):
		return fullProblem()
	case errors.Is(err, service.ErrReplaced):
		return problem(http.StatusServiceUnavailable, service.ErrReplaced.Error()+": post the same again, with the new one")
	case errors.As(err, &state):
		return problem(http.StatusConflict, state.Error())
	case errors.As(err, &format):
		return problem(http.StatusBadRequest, format.Problem)
	case errors.Is(err, service.ErrUnsupported):
		return problem(http.StatusNotImplemented, service.ErrUnsupported.Error())
	case errors.Is(err, pushsvc.ErrNotFound):
		return problem(http.StatusNotFound, "the site has nothing of that id: give the id as the list has it; commands also take 4 or more characters of the beginning or end of a message's, pop-up's or profile's")
	case errors.Is(err, pushsvc.ErrIdempotencyConflict):
		return problem(http.StatusUnprocessableEntity, "this Idempotency-Key was used with a different request: use a new key for a new request")
	case isWaiting(err):
		return problem(http.StatusServiceUnavailable, "the store's disk does not answer in time; what was sent may still be stored: send it again later, which changes nothing where it was")
	default:
		return problem(http.StatusServiceUnavailable, "the subscription store cannot be used at the moment; the server's log says why")
	}
}

// fail answers err. Faults of ours are logged, those of clients are not.
func fail(ctx context.Context, log *slog.Logger, w http.ResponseWriter, err error) {
	p := asProblem(err)
	if errors.Is(err, service.ErrReplaced) { // what a moment of waiting cures
		w.Header().Set("Retry-After", "1")
		WriteProblem(w, p)
		return
	}
	if full := errors.Is(err, service.ErrTooManySites) || errors.Is(err, service.ErrNoRoom); full {
		w.Header().Set("Retry-After", retryFull) // the service has told, once
	} else if p.Status >= http.StatusInternalServerError && p.Status != http.StatusNotImplemented {
		w.Header().Set("Retry-After", retryAfter)
		if !errors.Is(err, context.Canceled) && !isWaiting(err) {
			log.ErrorContext(ctx, "push request failed", "error", err)
		}
	}
	WriteProblem(w, p)
}

// WriteProblem answers with p as application/problem+json.
func WriteProblem(w http.ResponseWriter, p *Problem) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_ = encodePlain(w, p)
}

// WriteUnavailable answers 503 for a push service that is not ready.
func WriteUnavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", retryAfter)
	WriteProblem(w, problem(http.StatusServiceUnavailable, "push is not ready at the moment"))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	if err := encodePlain(&body, v); err != nil {
		WriteProblem(w, problem(http.StatusInternalServerError, fmt.Sprintf("encoding the answer: %v", err)))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w)
}

// encodePlain writes v as JSON and a line break. HTML stays readable, for those who
// edit what they got: answers are JSON by type and nosniff, never part of a page.
func encodePlain(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
