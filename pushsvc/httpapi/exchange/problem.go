// Package exchange is what all of our HTTP answers have in common: how bodies are read, how JSON is
// decoded, how long a handler may take, and how faults become problem details (RFC 9457).
//
// JSON is read by json/v2 (github.com/go-json-experiment/json), which Go's standard library does
// not enable yet. It refuses names that occur twice and reports where a fault is. Compared with
// encoding/json and a scan of our own for such names, posts of 1, 10 and 50 events take 0.75, 0.88
// and 0.71 of the time and 0.77, 0.69 and 0.65 of the allocations (medians of six interleaved runs
// of BenchmarkEvents/read in package httpapi).
package exchange

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
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
)

// RetryAfter is how long a client is asked to wait, in seconds, while the store cannot be used.
const RetryAfter = "10"

// retryFull is the same for a store that is full, because that lasts longer.
const retryFull = "300"

// AsProblem maps an error of the lower packages to the problem that the client may see. An error that
// is not meant for the client becomes a 503 and is logged by Fail.
func AsProblem(err error) *api.Problem {
	var p *api.Problem
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
		return api.FieldProblem(field.Field, field.Problem)
	case errors.As(err, &site):
		return coded(api.CodeUnknownSite, http.StatusNotFound, site.Error())
	case errors.As(err, &unconfigured):
		return coded(api.CodeUnknownSite, http.StatusNotFound, unconfigured.Error())
	case errors.Is(err, pushsvc.ErrRevision):
		return coded(api.CodeRevision, http.StatusPreconditionFailed, "this has changed since you read it: read it again, and write with the ETag of that answer")
	case errors.Is(err, service.ErrTooManySites):
		return coded(api.CodeFull, http.StatusServiceUnavailable, service.ErrTooManySites.Error())
	case errors.Is(err, service.ErrNoRoom):
		return coded(api.CodeFull, http.StatusInsufficientStorage, service.ErrNoRoom.Error())
	case errors.As(err, &inUse):
		return coded(api.CodeConflict, http.StatusConflict, inUse.Error())
	case errors.As(err, &taken):
		return coded(api.CodeConflict, http.StatusConflict, taken.Error())
	case errors.As(err, &name):
		return coded(api.CodeConflict, http.StatusConflict, name.Error())
	case errors.As(err, &none):
		return coded(api.CodeUnknownSite, http.StatusNotFound, none.Error())
	case errors.As(err, &busy):
		return coded(api.CodeConflict, http.StatusConflict, busy.Error())
	case errors.Is(err, pushsvc.ErrSiteMoving):
		return coded(api.CodeConflict, http.StatusConflict, pushsvc.ErrSiteMoving.Error())
	case errors.Is(err, popup.ErrFull):
		return fullProblem()
	case errors.Is(err, service.ErrReplaced):
		return coded(api.CodeUnavailable, http.StatusServiceUnavailable, service.ErrReplaced.Error()+": post the same again, with the new cookie")
	case errors.As(err, &state):
		return coded(api.CodeState, http.StatusConflict, state.Error())
	case errors.As(err, &format):
		return api.NewProblem(http.StatusBadRequest, format.Problem)
	case errors.Is(err, service.ErrUnsupported):
		return coded(api.CodeUnsupported, http.StatusNotImplemented, service.ErrUnsupported.Error())
	case errors.Is(err, pushsvc.ErrNotFound):
		return coded(api.CodeNotFound, http.StatusNotFound, "the site has nothing of that id")
	case errors.Is(err, pushsvc.ErrIdempotencyConflict):
		return coded(api.CodeIdempotency, http.StatusUnprocessableEntity, "this Idempotency-Key was used with a different request: use a new key for a new request")
	case isWaiting(err):
		return coded(api.CodeUnavailable, http.StatusServiceUnavailable, "the store's disk does not answer in time; the request may still be stored: send it again later, which is safe if it was")
	default:
		return coded(api.CodeUnavailable, http.StatusServiceUnavailable, "the subscription store cannot be used at the moment; the server's log has the reason")
	}
}

// coded is a problem of a kind.
func coded(code api.Code, status int, detail string) *api.Problem {
	p := api.NewProblem(status, detail)
	p.Code = code
	return p
}

// Fail answers with err. Our own faults are logged, those of clients are not.
func Fail(ctx context.Context, log *slog.Logger, w http.ResponseWriter, err error) {
	p := AsProblem(err)
	if errors.Is(err, service.ErrReplaced) { // a short wait cures it
		w.Header().Set("Retry-After", "1")
		WriteProblem(w, p)
		return
	}
	if full := errors.Is(err, service.ErrTooManySites) || errors.Is(err, service.ErrNoRoom); full {
		w.Header().Set("Retry-After", retryFull) // the service has logged it, once
	} else if p.Status >= http.StatusInternalServerError && p.Status != http.StatusNotImplemented {
		w.Header().Set("Retry-After", RetryAfter)
		if !errors.Is(err, context.Canceled) && !isWaiting(err) {
			log.ErrorContext(ctx, "push request failed", "error", err)
		}
	}
	WriteProblem(w, p)
}

// WriteProblem answers with p as application/problem+json.
func WriteProblem(w http.ResponseWriter, p *api.Problem) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_ = encodePlain(w, p)
}

// WriteUnavailable answers 503 for a push service that is not ready.
func WriteUnavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", RetryAfter)
	WriteProblem(w, api.NewProblem(http.StatusServiceUnavailable, "push is not ready at the moment"))
}

// WriteJSON answers with v as JSON.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	if err := encodePlain(&body, v); err != nil {
		WriteProblem(w, api.NewProblem(http.StatusInternalServerError, fmt.Sprintf("encoding the answer: %v", err)))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w)
}

// encodePlain writes v as JSON and a line break. HTML stays readable for operators who edit the
// answer: answers are JSON by type and nosniff, never part of a page.
func encodePlain(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// fullProblem names the rows of which the site has too many.
func fullProblem() *api.Problem {
	return coded(api.CodeFull, http.StatusConflict, fmt.Sprintf("the site has reached the maximum of %d pop-ups or %d images: delete some", popup.MaxPopups, popup.MaxUploads))
}
