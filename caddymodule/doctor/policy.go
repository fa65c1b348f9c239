package doctor

import (
	"net/url"

	"github.com/caddy-webpush/caddy-webpush/injector"
)

// policy: the page's Content-Security-Policy lets our parts work.
func (d *doctor) policy() {
	headers := d.policies()
	if len(headers) == 0 {
		d.say("policy", OK, "", "the page has no Content-Security-Policy")
		return
	}
	u := d.page.Request.URL
	findings := injector.CheckCSP(headers, u.Scheme+"://"+u.Host, injector.Addresses{
		Script: d.config.Prefix + "/sdk.js", Manifest: sameOriginPath(u, d.resolve(d.tags.manifest)), Worker: d.config.Worker,
		Connect: d.config.Prefix + "/", TrustedTypes: "webpush",
	})
	for _, f := range findings {
		v := Problem
		if f.Use == injector.UseManifest || f.Use == injector.UseImage {
			v = Warning
		}
		d.say("policy", v, f.Cure, "the Content-Security-Policy's %s blocks our %s", f.Directive, f.Use)
	}
	if len(findings) == 0 {
		d.say("policy", OK, "", "the Content-Security-Policy allows all parts of webpush")
	}
}

// sameOriginPath returns the path of a URL of the page's own origin, or "".
func sameOriginPath(page *url.URL, ref string) string {
	u, err := page.Parse(ref)
	if err != nil || u.Host != page.Host || u.Scheme != page.Scheme {
		return ""
	}
	return u.Path
}
