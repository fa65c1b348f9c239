package httpapi

import (
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// The cookie by which a browser is recognised. Over https it has the prefix that keeps other hosts
// from setting it (RFC 6265bis §4.1.3.2), and no other cookie counts. Browsers send cookies to all
// ports of a host (RFC 6265bis §8.5), so the names for a site with a port of its own end with "_"
// and that port.
const (
	CookieName       = "__webpush"
	SecureCookieName = "__Host-webpush"
)

// cookieName returns the name of the site's cookie.
func cookieName(site string, secure bool) string {
	name := CookieName
	if secure {
		name = SecureCookieName
	}
	if _, port, err := net.SplitHostPort(site); err == nil {
		name += "_" + port
	}
	return name
}

// cookieAge is the longest that browsers keep a cookie (RFC 6265bis §5.5).
const cookieAge = 400 * 24 * 60 * 60

// renewAfter is the age at which a cookie is set again. It isn't with each answer: a late answer
// would restore a cookie that has been replaced.
const renewAfter = 30 * 24 * time.Hour

// optedOut is the cookie of a visitor who has opted out.
const optedOut = "0"

// visitor is who sends a request.
type visitor struct {
	browser pushsvc.Browser // zero for a visitor who must not be recognised
	out     bool            // has opted out
	set     bool            // the browser lacks the cookie, or has an old one
	twice   bool            // has our cookie at two paths
	secure  bool            // the page came over https
}

// Anonymous reports whether the request's sender must not be recognised: Global Privacy Control
// (W3C GPC §3.1), Do Not Track, or the visitor's own choice.
func Anonymous(r *http.Request, site PublicSite) bool {
	_, anonymous := Cookies(r, site)
	return anonymous
}

// Cookies returns the values of our cookie that count, and what [Anonymous] reports. A browser that
// asks not to be tracked has no values. Over plain http a browser may have several, at two paths if
// the site's has moved, or because another host has set one.
func Cookies(r *http.Request, site PublicSite) (values []string, anonymous bool) {
	if signalled(r) {
		return nil, true
	}
	name := cookieName(site.Name, true)
	if len(r.CookiesNamed(name)) == 0 && !isSecure(r, site) {
		name = cookieName(site.Name, false)
	}
	for _, c := range r.CookiesNamed(name) {
		anonymous = anonymous || c.Value == optedOut
		values = append(values, c.Value)
	}
	return values, anonymous
}

// isSecure reports whether the page came over https. A browser reports this with each post, even if
// a proxy in front of us handles TLS.
func isSecure(r *http.Request, site PublicSite) bool {
	return site.Secure || r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://")
}

// signalled reports whether the browser asks not to be tracked.
func signalled(r *http.Request) bool {
	return r.Header.Get("Sec-GPC") == "1" || r.Header.Get("DNT") == "1"
}

// visitor identifies the sender. A browser without a genuine cookie gets one, which is the same for
// the same seed; see service.NewBrowser.
func (p *Public) visitor(r *http.Request, site PublicSite, seed string) (v visitor, err error) {
	if site.CookiePath == "" || signalled(r) {
		return v, nil
	}
	values, out := Cookies(r, site) // without a signal, only a visitor who has opted out is anonymous
	if v = (visitor{out: out, twice: len(values) > 1, secure: isSecure(r, site)}); out {
		return v, nil
	}
	b, known, err := p.Service.OpenCookies(r.Context(), site.Name, values)
	if err != nil {
		return v, err
	}
	if known {
		old := p.Service.Clock().Sub(b.Issued) > renewAfter
		v.browser, v.set = b, old || v.twice || b.Whole != (v.path(site) == "/")
		return v, nil
	}
	return v, p.begin(r, site, seed, &v)
}

// begin sets a new cookie for the visitor.
func (p *Public) begin(r *http.Request, site PublicSite, seed string, v *visitor) (err error) {
	v.browser, err = p.Service.NewBrowser(r.Context(), site.Name, seed)
	v.out, v.set = false, true
	return err
}

// path returns the path for which the browser is to send the cookie.
func (v visitor) path(site PublicSite) string {
	if v.secure {
		return "/" // as the prefix of its name requires
	}
	return site.CookiePath
}

// setCookie sets the cookie by which the browser is recognised.
func (p *Public) setCookie(w http.ResponseWriter, r *http.Request, site PublicSite, v visitor) error {
	if site.CookiePath == "" || !v.out && !v.set {
		return nil
	}
	c := http.Cookie{
		Name: cookieName(site.Name, v.secure), Value: optedOut, Path: v.path(site), MaxAge: cookieAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: v.secure,
	}
	if !v.out {
		v.browser.Whole = c.Path == "/"
		if p.Service.Clock().Sub(v.browser.Issued) > renewAfter {
			v.browser.Issued = p.Service.Clock()
		}
		value, err := p.Service.Cookie(r.Context(), site.Name, v.browser)
		if err != nil {
			return err
		}
		c.Value = string(value)
	}
	w.Header().Set("Cache-Control", "no-store") // a cookie is for one visitor
	http.SetCookie(w, &c)
	if v.twice && !v.secure && site.OtherPath != "" {
		c.Value, c.Path, c.MaxAge = "", site.OtherPath, -1
		http.SetCookie(w, &c)
	}
	return nil
}
