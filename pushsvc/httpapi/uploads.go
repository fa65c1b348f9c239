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
