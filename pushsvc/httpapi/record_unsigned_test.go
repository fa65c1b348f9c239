package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestUnsignedReads: a visitor who logs in without a signature sees what their own browser has
// reported, unless the site shares; audiences reveal no more than texts.
func TestUnsignedReads(t *testing.T) {
	f := newFixture(t)
	f.greet()
	f.putPopup(siteA, "rich", `,"audience":"profile.Plan == \"gold\" || events.Charged.count > 0"`)
	f.api("PUT", siteA, "/popup-settings", `{"popupsPerSession":0}`)
	victim := &visit{fixture: f, site: siteA}
	victim.send(f.loginAs("ann"), `{"type":"profile","set":{"Name":"Ann","Plan":"gold"}}`, `{"type":"event","name":"Charged"}`)
	attacker := &visit{fixture: f, site: siteA, n: 100}
	attacker.send(`{"type":"profile","set":{"Name":"Mallory"}}`, f.loginAs("ann"))
	titles := func(v *visit) string {
		out := ids(v.ask(""))
		for _, p := range v.ask("").Popups {
			if p.ID == "hi" {
				out += " " + p.Content.Title
			}
		}
		return out
	}
	if got := titles(attacker); got != "hi Hi Mallory" {
		t.Errorf("the attacker sees %q", got)
	}
	if got := titles(victim); got != "hi rich Hi Ann" {
		t.Errorf("the victim sees %q", got)
	}
	f.shareUnsigned = true
	if got := titles(attacker); got != "hi rich Hi Ann" {
		t.Errorf("where the site shares: %q", got)
	}
	f.shareUnsigned = false
	// With a secret, the same after signed logins.
	f.identitySecret = "s3cret"
	victim.send(f.loginAs("ann"), `{"type":"profile","set":{"Plan":"black"}}`)
	second := &visit{fixture: f, site: siteA, n: 200}
	second.send(f.loginAs("ann"))
	if got := titles(second); got != "hi rich Hi Ann" {
		t.Errorf("a second device, signed, sees %q", got)
	}
	if p := attacker.profile(); p == nil || p.Known() || titles(attacker) != "hi Hi Mallory" {
		t.Errorf("a visitor without a signature is %+v", p)
	}
}

// TestEraseIdentity: erasure by an identity finds all profiles of a person, whatever others have
// claimed.
func TestEraseIdentity(t *testing.T) {
	f := newFixture(t)
	victim := &visit{fixture: f, site: siteA}
	victim.send(f.loginAs("ann"), `{"type":"profile","set":{"Phone":"+4912345"}}`)
	var many []string
	for n := range 9 {
		many = append(many, fmt.Sprintf(`{"kind":"identity","value":"junk %d"}`, n))
	}
	attacker := &visit{fixture: f, site: siteA, n: 100}
	attacker.send(`{"type":"login","identities":[{"kind":"identity","value":"ann"},` + strings.Join(many, ",") + `]}`)
	for n := range 30 {
		(&visit{fixture: f, site: siteA, n: 200 + n}).send(f.loginAs("ann"), `{"type":"profile","set":{"Phone":"+4912345"}}`)
	}
	a := f.api("POST", siteA, "/profiles/erase", `{"identity":"ann"}`)
	if a.status != http.StatusOK || a.body != "{\"erased\":13}\n" || f.people(siteA) != 0 {
		t.Errorf("%d %s; %d profiles are left", a.status, a.body, f.people(siteA))
	}
	if a := f.api("POST", siteA, "/profiles/erase", `{"identity":""}`); a.status != http.StatusBadRequest {
		t.Errorf("erasure of an identity without a profile: %d", a.status)
	}
}
