package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// MaxMessagesBody is the largest body of a request for pop-ups, in bytes.
const MaxMessagesBody = 32 << 10

// messages answers which pop-ups the visitor may see on a page.
func (p *Public) messages(w http.ResponseWriter, r *http.Request, site PublicSite) error {
	if err := p.limited(w, r, p.EventLimit, 1, "requests"); err != nil {
		return err
	}
	body, err := exchange.ReadBody(w, r, MaxMessagesBody, "application/json", "text/plain")
	if err != nil {
		return err
	}
	var req service.MessagesRequest
	if err := exchange.Decode(body, &req, exchange.Lenient); err != nil {
		return err
	}
	v, err := p.visitor(r, site, req.Seed)
	if err != nil {
		return err
	}
	var device pushsvc.DeviceID
	req.Shared = site.ShareUnsigned
	if !v.browser.IsZero() {
		device, req.Line = v.browser.Device(), v.browser.Line()
	}
	answer, err := exchange.Timely(r.Context(), &p.calls, func(ctx context.Context) (service.MessagesAnswer, error) {
		return p.Service.Messages(ctx, site.Name, device, req)
	})
	if err != nil {
		return err
	}
	if err := p.setCookie(w, r, site, v); err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// UploadName returns the name of the upload at a path below the prefix; false if the path is not an
// upload's.
func UploadName(path string) (string, bool) {
	name, ok := strings.CutPrefix(path, service.UploadsFolder)
	return name, ok && service.ImageType(name) != "" && !strings.Contains(name, "/")
}

// ServeUpload answers with an image that an operator has uploaded.
func (p *Public) ServeUpload(w http.ResponseWriter, r *http.Request, site PublicSite, name string) {
	ctx, cancel := context.WithTimeout(r.Context(), visitorTime)
	defer cancel()
	u, err := exchange.Timely(ctx, &p.calls, func(ctx context.Context) (popup.Upload, error) {
		return p.Service.Upload(ctx, site.Name, name)
	})
	if errors.Is(err, pushsvc.ErrNotFound) {
		exchange.WriteProblem(w, api.NewProblem(http.StatusNotFound, "there is no such image"))
		return
	}
	if err != nil {
		exchange.Fail(r.Context(), p.Logger, w, err)
		return
	}
	// A visitor who opens it by itself gets an image and nothing that could run.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	serveAsset(w, r, u.Data, service.ImageType(name), moduleCache)
}
