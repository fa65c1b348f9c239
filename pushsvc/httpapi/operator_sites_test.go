package httpapi_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// TestOperatorRemoveSite: all sites are listed, one is removed with everything it has, another is
// unchanged.
func TestOperatorRemoveSite(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	(&visit{fixture: f, site: siteA}).send(anEvent)
	(&visit{fixture: f, site: siteB, n: 10}).send(anEvent)
	base := f.operator.URL + "/webpush/sites"
	var list struct{ Sites []api.Site }
	f.do("GET", base+"?all=true", "").read(t, 200, &list)
	if len(list.Sites) != 2 || !reflect.DeepEqual(list.Sites[0], api.Site{Site: siteA, Subscriptions: 1, Profiles: 1, Configured: true}) {
		t.Errorf("%+v", list)
	}
	for query, status := range map[string]int{"?dryRun=perhaps": 400, "?force=2": 400, "?dryRun=1": 200} {
		if a := f.do("DELETE", base+"/"+siteA+query, ""); a.status != status {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	if f.count(siteA) != 1 {
		t.Fatal("a dry run has removed it")
	}
	f.do("POST", base+"/"+siteA+"/messages", `{"title":"x","sendAt":"2099-01-01T00:00:00Z"}`, "Content-Type", "application/json")
	var kept struct {
		api.SiteContents
		Removed bool
	}
	for range 2 {
		f.do("DELETE", base+"/"+siteA+"?force=true", "").read(t, 200, &kept)
		if !kept.Removed || kept.Subscriptions != 1 || kept.Profiles != 1 {
			t.Errorf("%+v", kept)
		}
		if a := f.do("DELETE", base+"/"+siteA, ""); a.status != http.StatusNotFound {
			t.Errorf("again: %d %s", a.status, a.body)
		}
		f.subscribe(siteA, 1)
		(&visit{fixture: f, site: siteA}).send(anEvent)
	}
	f.do("GET", base+"?all=true", "").read(t, 200, &list)
	if len(list.Sites) != 2 || !reflect.DeepEqual(list.Sites[1], api.Site{Site: siteB, Profiles: 1, Configured: true}) {
		t.Errorf("%+v", list)
	}
}

func TestOperatorPurge(t *testing.T) {
	f := newFixture(t)
	(&visit{fixture: f, site: siteA}).send(anEvent)
	base := f.operator.URL + "/webpush/sites/" + siteA + "/profiles/purge"
	post := func(body string) answer { return f.do("POST", base, body, "Content-Type", "application/json") }
	for body, field := range map[string]string{`{}`: "where", `{"where":"absent"}`: "where", `{"where":"known","after":"x"}`: "after", `{"where":"known","dryrun":true}`: "dryrun"} {
		if a := post(body); a.status != 400 || a.problem(t).Field != field {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	var out api.Purged
	post(`{"where":"!known","dryRun":true}`).read(t, 200, &out)
	if out != (api.Purged{Looked: 1, Matched: 1}) {
		t.Errorf("dry: %+v", out)
	}
	post(`{"where":"!known"}`).read(t, 200, &out)
	if out.Erased != 1 {
		t.Errorf("%+v", out)
	}
	page, err := f.service.Store.ProfilePage(t.Context(), siteA, "", 10)
	if err != nil || len(page) != 0 {
		t.Errorf("%d are left, %v", len(page), err)
	}
}

// TestNoRoom: a client that is refused for lack of room learns when to try again, and the log does
// not fill with it.
func TestNoRoom(t *testing.T) {
	f := newFixture(t)
	there, _ := f.subscribe(siteA, 1)
	f.service.MaxStoreSize = 1
	for action, body := range map[string]string{"subscribe": newBrowser(t, 2).json(""), "events": string(batchBody(random(1), 1))} {
		a := f.post(siteA, action, body)
		if a.status != http.StatusInsufficientStorage || a.header.Get("Retry-After") != "300" || a.problem(t).Detail == "" {
			t.Errorf("%s: %d %s, Retry-After %q", action, a.status, a.body, a.header.Get("Retry-After"))
		}
	}
	if a := f.post(siteA, "unsubscribe", there.proof()); a.status != http.StatusNoContent {
		t.Errorf("unsubscribe: %d", a.status)
	}
	if f.count(siteA) != 0 {
		t.Error("who unsubscribed is there")
	}
}
