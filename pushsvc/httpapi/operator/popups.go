package operator

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// maxPopupBody leaves room for white space around popup.MaxSize.
const maxPopupBody = 4 * popup.MaxSize

func viewPopup(p popup.Stored) api.StoredPopup {
	return api.StoredPopup{Site: p.Site, Revision: p.Revision, Created: p.Created.UTC(), Updated: p.Updated.UTC(), Popup: p.Popup}
}

func (o *Operator) listPopups(w http.ResponseWriter, r *http.Request) error {
	rows, err := o.service.Popups(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	list := api.PopupList{Popups: []api.StoredPopup{}}
	for _, row := range rows {
		list.Popups = append(list.Popups, viewPopup(row))
	}
	exchange.WriteJSON(w, http.StatusOK, list)
	return nil
}

func (o *Operator) showPopup(w http.ResponseWriter, r *http.Request) error {
	row, err := o.service.Popup(r.Context(), r.PathValue("site"), r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("ETag", revisionTag(row.Revision))
	w.Header().Set("Last-Modified", row.Updated.UTC().Format(http.TimeFormat))
	exchange.WriteJSON(w, http.StatusOK, row.Popup)
	return nil
}

// parsePopup reads a pop-up as the API takes it. Faults are a *api.Problem or a
// *pushsvc.FieldError. Content without a title has a fault of its own.
func parsePopup(body []byte) (p popup.Popup, err error) {
	err = exchange.DecodeFilled(body, &p, "content")
	var fault *api.Problem
	if errors.As(err, &fault) && variantPart.MatchString(fault.Field) {
		fault.Detail = strings.Replace(fault.Detail, exchange.EmptyCure,
			`leave it out to keep the pop-up's own; to go without, name it in the variant's "without", such as ["content.body"]`, 1)
	}
	if err != nil {
		return popup.Popup{}, err
	}
	return p, nil
}

// variantPart matches the path of a member that a variant inherits from the pop-up if it has none
// of its own.
var variantPart = regexp.MustCompile(`^variants\[\d+\]\.(content|click|theme)`)

// createPopup stores a new pop-up, with its id.
func (o *Operator) createPopup(w http.ResponseWriter, r *http.Request) error {
	err := o.storePopup(w, r, "", 0)
	if errors.Is(err, pushsvc.ErrRevision) {
		return api.NewProblem(http.StatusConflict, "the site already has a pop-up with this id: PUT replaces it")
	}
	return err
}

// putPopup stores a new pop-up, or replaces one. If-Match and If-None-Match limit which one it may
// replace.
func (o *Operator) putPopup(w http.ResponseWriter, r *http.Request) error {
	expect, err := ifMatch(r)
	if err != nil {
		return err
	}
	if r.Header.Get("If-None-Match") == "*" {
		expect = 0
	}
	return o.storePopup(w, r, r.PathValue("id"), expect)
}

func (o *Operator) storePopup(w http.ResponseWriter, r *http.Request, id string, expect pushsvc.Revision) error {
	body, err := exchange.ReadBody(w, r, maxPopupBody, "application/json")
	if err != nil {
		return err
	}
	p, err := parsePopup(body)
	if err != nil {
		return err
	}
	if id != "" && p.ID == "" {
		p.ID = id
	}
	if id != "" && p.ID != id {
		return api.FieldProblem("id", "differs from the one in the path: leave it out of the body")
	}
	row, err := o.service.PutPopup(r.Context(), r.PathValue("site"), p, expect)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", revisionTag(row.Revision))
	status := http.StatusOK
	if row.Created.Equal(row.Updated) {
		status = http.StatusCreated
		w.Header().Set("Location", "/webpush/sites/"+url.PathEscape(row.Site)+"/popups/"+row.Popup.ID)
	}
	view := viewPopup(row)
	if view.Warnings, err = o.service.PopupWarnings(r.Context(), row.Site, &row.Popup); err != nil {
		o.logger.WarnContext(r.Context(), "looking for mistakes in a pop-up", "site", row.Site, "popup", row.Popup.ID, "error", err)
	}
	exchange.WriteJSON(w, status, view)
	return nil
}

func (o *Operator) deletePopup(w http.ResponseWriter, r *http.Request) error {
	expect, err := ifMatch(r)
	if err != nil {
		return err
	}
	if err := o.service.DeletePopup(r.Context(), r.PathValue("site"), r.PathValue("id"), expect); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// setPopupState runs or pauses a pop-up.
func (o *Operator) setPopupState(w http.ResponseWriter, r *http.Request) error {
	var body api.PopupStateRequest
	if err := o.decode(w, r, &body); err != nil {
		return err
	}
	if body.State == "" {
		return api.FieldProblem("state", `is missing: "running", "paused" or "draft"`)
	}
	row, err := o.service.SetPopupState(r.Context(), r.PathValue("site"), r.PathValue("id"), body.State)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", revisionTag(row.Revision))
	exchange.WriteJSON(w, http.StatusOK, viewPopup(row))
	return nil
}

func (o *Operator) popupStats(w http.ResponseWriter, r *http.Request) error {
	var q service.StatsQuery
	for _, f := range []struct {
		name string
		to   *time.Time
	}{{"from", &q.From}, {"to", &q.To}} {
		text := r.FormValue(f.name)
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return api.FieldProblem(f.name, `is not a time with a time zone in the form of RFC 3339, such as "2026-11-24T09:00:00+01:00"`)
		}
		*f.to = t
	}
	stats, err := o.service.PopupStats(r.Context(), r.PathValue("site"), r.PathValue("id"), q)
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, stats)
	return nil
}

// previewPopup makes an address that shows a pop-up to every visitor who opens it.
func (o *Operator) previewPopup(w http.ResponseWriter, r *http.Request) error {
	var body api.PreviewRequest
	if err := o.decode(w, r, &body); err != nil {
		return err
	}
	preview, err := o.service.Preview(r.Context(), r.PathValue("site"), r.PathValue("id"), body.Variant, body.Page)
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusCreated, preview)
	return nil
}

func (o *Operator) showPopupSettings(w http.ResponseWriter, r *http.Request) error {
	set, revision, err := o.service.PopupSettings(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	w.Header().Set("ETag", revisionTag(revision))
	exchange.WriteJSON(w, http.StatusOK, set)
	return nil
}

// setPopupSettings replaces all settings: one that is left out gets its default.
func (o *Operator) setPopupSettings(w http.ResponseWriter, r *http.Request) error {
	expect, err := ifMatch(r)
	if err != nil {
		return err
	}
	set := popup.DefaultSettings()
	if err := o.decode(w, r, &set); err != nil {
		return err
	}
	revision, err := o.service.SetPopupSettings(r.Context(), r.PathValue("site"), set, expect)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", revisionTag(revision))
	exchange.WriteJSON(w, http.StatusOK, set)
	return nil
}

func (o *Operator) viewUpload(u popup.Upload) api.Upload {
	v := api.Upload{Name: u.Name, Size: u.Size, Created: u.Created, Type: service.ImageType(u.Name), Path: service.UploadsFolder + u.Name}
	if configured := o.service.Configured; configured != nil {
		if prefix := configured.Prefix(u.Site); prefix != "" {
			v.Address = prefix + "/" + v.Path
		}
	}
	return v
}

func (o *Operator) listUploads(w http.ResponseWriter, r *http.Request) error {
	rows, err := o.service.Uploads(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	list := api.UploadList{Uploads: []api.Upload{}}
	for _, row := range rows {
		list.Uploads = append(list.Uploads, o.viewUpload(row))
	}
	exchange.WriteJSON(w, http.StatusOK, list)
	return nil
}

// upload stores an image's bytes unchanged. Its type is read from the bytes, not from the header.
func (o *Operator) upload(w http.ResponseWriter, r *http.Request) error {
	body, err := exchange.ReadBody(w, r, popup.MaxUploadSize, api.ImageMedia...)
	if err != nil {
		return err
	}
	row, err := o.service.PutUpload(r.Context(), r.PathValue("site"), body)
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusCreated, o.viewUpload(row))
	return nil
}

func (o *Operator) deleteUpload(w http.ResponseWriter, r *http.Request) error {
	if err := o.service.DeleteUpload(r.Context(), r.PathValue("site"), r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
