package doctor

import (
	"context"
	"regexp"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/injector"
)

// nonceSource finds nonces in a policy (CSP3 §2.3.1).
var nonceSource = regexp.MustCompile(`'nonce-([^']*)'`)

// nonce: if the page's policy requires a nonce, our tag has it, and the next page has another.
func (d *doctor) nonce(ctx context.Context) {
	nonces := noncesOf(d.policies())
	if len(nonces) == 0 {
		return
	}
	// The part of the policies that applies to a tag with another nonce, or without one.
	var without []string
	for _, p := range d.policies() {
		without = append(without, nonceSource.ReplaceAllStringFunc(p, func(source string) string {
			if d.tags.nonce != "" && source == "'nonce-"+d.tags.nonce+"'" {
				return source
			}
			return ""
		}))
	}
	u := d.page.Request.URL
	addresses := injector.Addresses{Script: d.config.Prefix + "/sdk.js"}
	scripts := func(policies []string) int {
		n := 0
		for _, f := range injector.CheckCSP(policies, u.Scheme+"://"+u.Host, addresses) {
			if f.Use == injector.UseScript {
				n++
			}
		}
		return n
	}
	if scripts(without) > scripts(d.policies()) {
		has := "has none"
		if d.tags.nonce != "" {
			has = "has another"
		}
		d.say("nonce", Problem, "what writes the policy must do so before the page comes to webpush, with the same nonce as in the page: the site itself, or a header directive; not a CDN or another proxy in front",
			"the Content-Security-Policy lets scripts with its nonce run, and our tag %s", has)
		return
	}
	resp, _, err := d.get(ctx, d.report.URL, asNavigation)
	if err == nil && d.tags.nonce != "" && slices.Contains(noncesOf(resp.Header.Values("Content-Security-Policy")), d.tags.nonce) {
		d.say("nonce", Warning, "make a new nonce for each answer, and send pages that have one with Cache-Control: no-store: anyone who knows it can run scripts",
			"two answers have the same nonce")
		return
	}
	d.say("nonce", OK, "", "our tag has the page's nonce")
}

// policies returns the page's policies, from the header and meta elements.
func (d *doctor) policies() []string {
	return append(slices.Clone(d.page.Header.Values("Content-Security-Policy")), d.tags.metaPolicies...)
}

func noncesOf(policies []string) (nonces []string) {
	for _, p := range policies {
		for _, m := range nonceSource.FindAllStringSubmatch(p, -1) {
			nonces = append(nonces, m[1])
		}
	}
	return nonces
}
