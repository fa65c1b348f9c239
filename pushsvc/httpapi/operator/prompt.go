package operator

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

func (o *Operator) listPrompts(w http.ResponseWriter, r *http.Request) error {
	list, err := o.service.AllPrompts(r.Context())
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, api.PromptList{Prompts: list})
	return nil
}

func (o *Operator) showPrompt(w http.ResponseWriter, r *http.Request) error {
	view, err := o.service.Prompt(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	writePrompt(w, view)
	return nil
}

// writePrompt answers with the view. The ETag is that of the settings stored by the API, which a
// PUT replaces: it does not change with the configuration.
func writePrompt(w http.ResponseWriter, view api.Prompt) {
	w.Header().Set("ETag", revisionTag(view.Revision))
	exchange.WriteJSON(w, http.StatusOK, view)
}

func (o *Operator) setPrompt(w http.ResponseWriter, r *http.Request) error {
	expect, err := ifMatch(r)
	if err != nil {
		return err
	}
	body, err := exchange.ReadBody(w, r, pushsvc.MaxSettingDocument, "application/json")
	if err != nil {
		return err
	}
	settings, err := ParsePrompt(body)
	if err != nil {
		return err
	}
	view, err := o.service.SetPrompt(r.Context(), r.PathValue("site"), settings, expect)
	if err != nil {
		return err
	}
	writePrompt(w, view)
	return nil
}

func (o *Operator) resetPrompt(w http.ResponseWriter, r *http.Request) error {
	expect, err := ifMatch(r)
	if err != nil {
		return err
	}
	if err := o.service.ResetPrompt(r.Context(), r.PathValue("site"), expect); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// builtIn are the members of a prompt whose empty value is the built-in one.
// "after" without a condition is the first page.
var builtIn = []string{"title", "body", "accept", "reject", "color", "textColor", "after"}

// ParsePrompt reads a prompt's settings as the API takes them. Faults are a
// *api.Problem or a *pushsvc.FieldError.
func ParsePrompt(body []byte) (s prompt.Settings, err error) {
	if bytes.Equal(bytes.TrimSpace(body), []byte("null")) { // which encoding/json accepts
		return s, api.NewProblem(http.StatusBadRequest, "the body is not a JSON object")
	}
	if err := exchange.DecodeFilled(body, &s, builtIn...); err != nil {
		return prompt.Settings{}, err
	}
	if err := s.Validate(); err != nil {
		return prompt.Settings{}, err
	}
	return s, nil
}

// revisionTag returns a revision as an ETag.
func revisionTag(n pushsvc.Revision) string { return strconv.Quote(strconv.FormatInt(int64(n), 10)) }

// ifMatch returns the revision that a write expects (RFC 9110 §13.1.1). Tags that are not ours, or
// weak, match nothing.
func ifMatch(r *http.Request) (pushsvc.Revision, error) {
	header := strings.TrimSpace(r.Header.Get("If-Match"))
	switch {
	case header == "*", len(r.Header["If-Match"]) == 0:
		return pushsvc.AnyRevision, nil
	case header == "":
		return 0, api.FieldProblem("If-Match", "is empty: "+exchange.EmptyCure)
	}
	tag, quoted := strings.CutPrefix(strings.TrimSuffix(header, `"`), `"`)
	n, err := strconv.ParseInt(tag, 10, 64)
	if strings.Contains(header, ",") {
		return 0, api.FieldProblem("If-Match", "must be one ETag from an earlier answer")
	}
	if !quoted || err != nil || n < 0 || revisionTag(pushsvc.Revision(n)) != header {
		return 0, pushsvc.ErrRevision
	}
	return pushsvc.Revision(n), nil
}
