package httpapi

import (
	"context"
	"net/http"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// MaxPopupsBody is the largest body of a request for pop-ups, in bytes.
const MaxPopupsBody = 32 << 10

// popups answers which pop-ups the visitor may see on a page.
func (p *Public) popups(w http.ResponseWriter, r *http.Request, site PublicSite) error {
	if err := p.limited(w, r, p.EventLimit, 1, "requests"); err != nil {
		return err
	}
	body, err := exchange.ReadBody(w, r, MaxPopupsBody, "application/json", "text/plain")
	if err != nil {
		return err
	}
	var req service.PopupsRequest
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
	answer, err := exchange.Timely(r.Context(), &p.calls, func(ctx context.Context) (service.PopupsAnswer, error) {
		return p.Service.PopupsFor(ctx, site.Name, device, req)
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
