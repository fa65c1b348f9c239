package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// script: the SDK loads, and carries the site's settings.
func (d *doctor) script(ctx context.Context) bool {
	address := d.resolve(d.tags.script)
	resp, text, err := d.get(ctx, address, map[string]string{"Sec-Fetch-Dest": "script", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin", "Accept": "*/*"})
	if err != nil {
		d.say("script", Problem, "check that the address can be reached", "the script does not load: %v", err)
		return false
	}
	_, from, found := strings.Cut(string(text), `{"version":`)
	if resp.StatusCode != http.StatusOK || !found || json.NewDecoder(strings.NewReader(`{"version":`+from)).Decode(&d.config) != nil {
		d.say("script", Problem, throughTo(address, "script"),
			"%s answers %s, and not with our script", address, resp.Status)
		return false
	}
	if d.config.Retire {
		d.say("script", Problem, "remove the option retire if the site should have push again",
			"the site %q has the option retire: its visitors are unsubscribed", d.config.Site)
		return false
	}
	d.say("script", OK, "", "the script loads, for the site %q", d.config.Site)
	d.kept("script", address, resp.Header)
	return true
}

// worker: browsers accept a worker's script only without redirects, as JavaScript.
func (d *doctor) worker(ctx context.Context) {
	address := d.origin(d.config.Worker)
	d.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { d.client.CheckRedirect = nil }()
	resp, text, err := d.get(ctx, address, map[string]string{"Service-Worker": "script", "Sec-Fetch-Dest": "serviceworker", "Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Site": "same-origin", "Accept": "*/*"})
	cure := fmt.Sprintf("let the site answer %s with 404, or give a path that it never sees: worker %s/sw.js", address, d.config.Prefix)
	switch {
	case err != nil:
		d.say("worker", Problem, cure, "the worker does not load: %v", err)
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		d.say("worker", Problem, cure, "%s redirects to %s, which browsers do not follow for a worker", address, resp.Header.Get("Location"))
	case resp.StatusCode == http.StatusNotFound: // webpush would have answered
		d.say("worker", Problem, throughTo(address, "worker"), "%s answers %s: the request does not reach webpush", address, resp.Status)
	case resp.StatusCode != http.StatusOK:
		d.say("worker", Problem, cure, "%s answers %s", address, resp.Status)
	case !httpapi.IsJavaScript(resp.Header):
		d.say("worker", Problem, cure, "%s has the type %q, which browsers refuse for a worker", address, resp.Header.Get("Content-Type"))
	case !strings.Contains(string(text), "notificationclick"):
		d.say("worker", Problem, cure, "%s is a worker that is not ours", address)
	case strings.Contains(string(text), `"standalone":true`):
		d.kept("worker", address, resp.Header)
		d.say("worker", OK, "", "the worker is served at %s", d.config.Worker)
	default:
		d.kept("worker", address, resp.Header)
		d.say("worker", OK, "", "the worker is served at %s, after the site's own", d.config.Worker)
	}
}

// endpoint: subscriptions reach us. Our handler, and no one before it, must refuse an invalid body.
func (d *doctor) endpoint(ctx context.Context) {
	address := d.origin(d.config.Prefix + "/subscribe")
	resp, text, err := d.do(ctx, http.MethodPost, address, map[string]string{
		"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty",
		"Origin": d.page.Request.URL.Scheme + "://" + d.page.Request.URL.Host,
	}, "{}")
	cure := fmt.Sprintf("let POST requests to %s/… through to webpush: logins, firewalls and rewrites must leave them alone", d.origin(d.config.Prefix))
	switch {
	case err != nil:
		d.say("endpoint", Problem, cure, "subscriptions cannot be posted: %v", err)
	case resp.StatusCode == http.StatusServiceUnavailable:
		d.say("endpoint", Problem, `look into Caddy's log for "push is off"`, "the subscription store cannot be used")
	case resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), `"field":"endpoint"`):
		d.say("endpoint", Problem, cure, "%s answers %s to a subscription, and the answer is not ours", address, resp.Status)
	default:
		d.say("endpoint", OK, "", "subscriptions can be posted")
	}
}
