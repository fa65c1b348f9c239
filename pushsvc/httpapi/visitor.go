package httpapi

import (
	"net/http"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// CookieName is the cookie by which a browser is known again.
const CookieName = "__webpush"

// cookieAge is the longest that browsers keep a cookie (RFC 6265bis §5.5).
const cookieAge = 400 * 24 * 60 * 60

// optedOut is the cookie of who wants not to be known.
const optedOut = "0"

// visitor is who sends a request.
type visitor struct {
	cookie pushsvc.DeviceCookie
	device pushsvc.DeviceID // zero for who is not to be known
	out    bool             // has opted out
	twice  bool             // has our cookie at two paths
}

// Anonymous says whether the request's sender is not to be known: Global Privacy
// Control (W3C GPC §3.1), Do Not Track, or the visitor's own choice.
func Anonymous(r *http.Request) bool {
	_, out, _ := ourCookies(r)
	return signalled(r) || out
}

// ourCookies reads the cookie. A browser has it at two paths where the site's
// has moved: having opted out in either is having opted out.
func ourCookies(r *http.Request) (value string, out, twice bool) {
	for i, c := range r.CookiesNamed(CookieName) {
		out, twice = out || c.Value == optedOut, i > 0
		if i == 0 {
			value = c.Value
		}
	}
	return value, out, twice
}

// signalled says whether the browser asks not to be tracked.
func signalled(r *http.Request) bool {
	return r.Header.Get("Sec-GPC") == "1" || r.Header.Get("DNT") == "1"
}

// visitor finds out who sends. A browser without a cookie gets one, which is
// the same for the same seed; see service.Device.
func (p *Public) visitor(r *http.Request, site PublicSite, seed string) (v visitor, err error) {
	if site.CookiePath == "" || signalled(r) {
		return v, nil
	}
	value, out, twice := ourCookies(r)
	if v = (visitor{out: out, twice: twice}); out {
		return v, nil
	}
	v.cookie, v.device, err = p.Service.Device(r.Context(), site.Name, value, seed)
	return v, err
}

// setCookie lets the browser be known again. It renews what is there.
func (v visitor) setCookie(w http.ResponseWriter, r *http.Request, site PublicSite) {
	value := string(v.cookie)
	if v.out {
		value = optedOut
	}
	if value == "" || site.CookiePath == "" {
		return
	}
	c := http.Cookie{
		Name: CookieName, Value: value, Path: site.CookiePath, MaxAge: cookieAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	}
	http.SetCookie(w, &c)
	if v.twice && site.OtherPath != "" {
		c.Value, c.Path, c.MaxAge = "", site.OtherPath, -1
		http.SetCookie(w, &c)
	}
}

// record stores a batch of so many bytes.
func (p *Public) record(w http.ResponseWriter, r *http.Request, site PublicSite, req service.RecordRequest, size int) error {
	if err := p.limited(w, r, p.EventLimit, recordCost(&req, size), "events"); err != nil {
		return err
	}
	seed := req.Session
	if seed == "" {
		seed = req.Batch
	}
	v, err := p.visitor(r, site, seed)
	if err != nil {
		return err
	}
	if from := optsIn(req.Events); v.out && from >= 0 {
		req.Events = req.Events[from:] // not what was before the choice
		back := r.Clone(r.Context())
		back.Header.Del("Cookie")
		twice := v.twice
		if v, err = p.visitor(back, site, seed); err != nil {
			return err
		}
		v.twice = twice
	}
	if v.device.IsZero() {
		return nil // nothing of who is not to be known
	}
	if err := p.mayBegin(w, r, site); err != nil {
		return err
	}
	out, err := p.Service.Record(r.Context(), site.Name, service.Sender{Device: v.device, Secret: site.IdentitySecret}, req)
	if err != nil {
		return err
	}
	p.charge(r, out.Work)
	if out.Forgotten {
		v.cookie, v.out = "", true
	}
	v.setCookie(w, r, site)
	return nil
}

// optsIn is the entry by which the visitor wants to be known again, or negative
// where the last choice is another, or none was made.
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
