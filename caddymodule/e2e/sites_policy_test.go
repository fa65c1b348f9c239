//go:build e2e

package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// policySites have a strict Content-Security-Policy. In the policies below, NONCE
// is the response's nonce, and HASHES are the hashes of the page's scripts.
func policySites() []site {
	const otherDirectives = "; object-src 'none'; base-uri 'none'; worker-src 'self'; connect-src 'self'"
	const types = "; require-trusted-types-for 'script'"
	sites := []site{
		{name: "CSP nonce", with: (*visitor).wantPush},
		// The policy of Google's guide, with its sources for old browsers.
		{name: "CSP strict-dynamic", with: (*visitor).wantSubscription},
		{name: "CSP hash", untouched: true, with: wantReport("script", "script-src")},
		{name: "CSP hash extended", options: "csp extend", with: (*visitor).wantPush},
		{name: "CSP hash strict-dynamic extended", options: "csp extend", with: (*visitor).wantSubscription},
		{name: "CSP Trusted Types", with: (*visitor).wantPush},
		{name: "CSP Trusted Types named", without: wantNoQuestion},
		{name: "CSP Trusted Types named extended", options: "csp extend", with: (*visitor).wantSubscription},
		{name: "CSP report only", with: (*visitor).wantSubscription},
	}
	for i, policy := range []string{
		"default-src 'none'; script-src 'nonce-NONCE'; img-src 'self'; manifest-src 'self'" + otherDirectives,
		"script-src 'nonce-NONCE' 'strict-dynamic' https: 'unsafe-inline'; object-src 'none'; base-uri 'none'",
		"default-src 'self'; script-src HASHES" + otherDirectives,
		"default-src 'self'; script-src HASHES" + otherDirectives,
		"default-src 'self'; script-src HASHES 'strict-dynamic'" + otherDirectives,
		"default-src 'self'; script-src 'nonce-NONCE' 'strict-dynamic'" + otherDirectives + types,
		"default-src 'self'; script-src 'nonce-NONCE' 'strict-dynamic'" + otherDirectives + types + "; trusted-types site",
		"default-src 'self'; script-src 'nonce-NONCE' 'strict-dynamic'" + otherDirectives + types + "; trusted-types site",
		"", // Content-Security-Policy-Report-Only
	} {
		header := "Content-Security-Policy"
		if policy == "" {
			header, policy = header+"-Report-Only", "default-src 'self'; script-src 'self' HASHES"+otherDirectives
		}
		sites[i].answer = func(t *testing.T) string { return proxied(t, underPolicy(t, header, policy)) }
		sites[i].behave = usePolicy
	}
	return sites
}

// underPolicy serves a page that makes its own policy for Trusted Types, as pages
// that require them do.
func underPolicy(t *testing.T, header, policy string) http.Handler {
	t.Helper()
	scripts := []string{source(t, "record.js"), `window.works = "trustedTypes" in window ? String(trustedTypes.createPolicy("site", {createHTML: (s) => s}).createHTML("yes")) : "yes"`}
	var hashes []string
	for _, s := range scripts {
		sum := sha256.Sum256([]byte(s))
		hashes = append(hashes, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	page := strings.NewReplacer("{{record}}", scripts[0], "{{script}}", scripts[1]).Replace(source(t, "policy/page.html"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(notFound(r))
			return
		}
		nonce, attr := rand.Text(), ""
		if strings.Contains(policy, "NONCE") {
			attr = fmt.Sprintf(" nonce=%q", nonce)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "private")
		w.Header().Set(header, strings.NewReplacer("NONCE", nonce, "HASHES", strings.Join(hashes, " ")).Replace(policy))
		_, _ = io.WriteString(w, strings.ReplaceAll(page, "{{nonce}}", attr))
	})
}

// usePolicy checks that what the policy allows works, and that the policy is
// enforced.
func usePolicy(v *visitor) {
	v.goTo("/")
	v.heading("Strict")
	v.want("window.works", "yes")
}

// wantSubscription is wantPush without a message.
func (v *visitor) wantSubscription() {
	v.Helper()
	accept(v.ctx, v.T, v.browser, v.page, v.origin)
	if n := v.product.subscribers(v.origin); n != 1 {
		v.Errorf("%d subscribers", n)
	}
}

// wantNoQuestion: where no worker can be registered, no visitor is asked, and the
// log and the console report why.
func wantNoQuestion(v *visitor) {
	v.wait("window.webpush")
	v.want(tags, "1")
	v.want("seen.runs", "1")
	v.want("webpush.prompt({force: true})", "failed")
	v.want("seen.prompts", "0")
	wantReport("worker", "trusted-types")(v)
	for _, line := range v.complaints() {
		if !strings.Contains(line, "trusted-types") && !strings.Contains(strings.ToLower(line), "trusted type") && !strings.Contains(line, "webpush") {
			v.Errorf("the console has %q", line)
		}
	}
}

// wantReport checks that the log names the failing part and the directive that
// blocks it.
func wantReport(use, directive string) func(*visitor) {
	return func(v *visitor) {
		log, err := os.ReadFile(filepath.Join(v.product.dir, "webpush.log"))
		must(v.T, err)
		for line := range strings.Lines(string(log)) {
			var entry struct{ Level, Use, Directive, Cure, Host string }
			must(v.T, json.Unmarshal([]byte(line), &entry))
			if entry.Host == host(v.origin) && entry.Use == use && entry.Directive == directive && entry.Level == "warn" && entry.Cure != "" {
				return
			}
		}
		v.Errorf("the log does not say that %s blocks the %s:\n%s", directive, use, log)
	}
}
