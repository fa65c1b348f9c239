package httpapi_test

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

const siteNew = "new.example"

// TestOperatorRenameSite: a site gets another name, and what browsers and operators still send
// under the old one belongs to the same site.
func TestOperatorRenameSite(t *testing.T) {
	f := newFixture(t)
	first, id := f.subscribe(siteA, 1)
	second, _ := f.subscribe(siteA, 2)
	f.subscribe(siteB, 3)
	v := &visit{fixture: f, site: siteA}
	v.send(anEvent, `{"type":"login","identities":[{"kind":"identity","value":"42"}]}`)
	cookie := v.cookie
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	send := func(site, key string, status int) string {
		t.Helper()
		a := f.do("POST", f.operator.URL+"/webpush/sites/"+site+"/messages", `{"title":"x","sendAt":"`+tomorrow+`"}`, "Content-Type", "application/json", "Idempotency-Key", key)
		if a.status != status {
			t.Errorf("sending to %s: %d %s", site, a.status, a.body)
		}
		return a.header.Get("Location")[strings.LastIndexByte(a.header.Get("Location"), '/')+1:]
	}
	message := send(siteA, "k", 202)
	token := pushsvc.ReceiptToken(f.secret(), siteA, message, subscriptionID(t, id))

	for _, tt := range []struct {
		path, body string
		status     int
		text       string
	}{
		{siteA + "/rename", `{}`, 400, "into"},
		{siteA + "/rename", `{"into":""}`, 400, "into"},
		{siteA + "/rename", `{"into":"no name"}`, 400, "into"},
		{siteA + "/rename", `{"into":"A.example."}`, 400, "own name"},
		{siteA + "/rename", `{"into":"new.example","force":true}`, 400, "force"},
		{siteA + "/rename", `{"into":"b.example"}`, 409, "sites merge a.example b.example"},
		{"none.example/rename", `{"into":"new.example"}`, 404, "nothing is kept of site none.example"},
		{siteA + "/rename", `{"into":"new.example","dryRun":true}`, 200, `"dryRun":true`},
		{siteA + "/merge", `{"into":"b.example","dryRun":true}`, 200, `"shared":0`},
	} {
		a := f.do("POST", f.operator.URL+"/webpush/sites/"+tt.path, tt.body, "Content-Type", "application/json")
		if a.status != tt.status || !strings.Contains(a.body, tt.text) {
			t.Errorf("%s %s: %d %s", tt.path, tt.body, a.status, a.body)
		}
	}
	if f.count(siteA) != 2 || f.count(siteNew) != 0 {
		t.Fatal("something has changed already")
	}

	var out api.SiteMoving
	for range 2 { // repeating it does no harm
		f.do("POST", f.operator.URL+"/webpush/sites/A.example/rename", `{"into":"NEW.example"}`, "Content-Type", "application/json").read(t, 200, &out)
		if out.Running || out.Moved.Subscriptions != 2 || out.Moved.Messages != 1 || out.Moved.Profiles != 1 || out.Into.Subscriptions != 2 || out.From.Site != siteA {
			t.Errorf("%+v", out)
		}
	}
	var list struct{ Sites []api.Site }
	f.do("GET", f.operator.URL+"/webpush/sites", "").read(t, 200, &list)
	if want := (api.Site{Site: siteNew, Subscriptions: 2, Messages: 1, Profiles: 1, OtherNames: []string{siteA}}); len(list.Sites) != 3 || !reflect.DeepEqual(list.Sites[2], want) {
		t.Errorf("%+v", list)
	}

	// What arrives late under the old name.
	f.post(siteA, "events", report("shown", message, token))
	if got := f.receipts(siteNew, message); got != [3]int64{1, 0, 0} {
		t.Errorf("a worker's late report: %v", got)
	}
	for _, site := range []string{siteA, siteNew} { // a host, and another one that has the cookie: "site" was given
		v := &visit{fixture: f, site: site, cookie: cookie, n: 10 + len(site)}
		if a := v.send(anEvent); a.status != http.StatusNoContent || v.cookie != cookie {
			t.Errorf("%s: %d, cookie %s", site, a.status, v.cookie)
		}
	}
	if sum, err := f.service.People(t.Context(), siteNew); err != nil || sum.Profiles != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	f.subscribed(f.post(siteA, "subscribe", first.json("")))
	changed := newBrowser(t, 5)
	f.subscribed(f.post(siteA, "subscribe", changed.json(`,"replaces":`+first.proof())))
	if f.count(siteNew) != 2 {
		t.Errorf("%d subscriptions", f.count(siteNew))
	}
	if a := f.post(siteA, "unsubscribe", second.proof()); a.status != http.StatusNoContent || f.count(siteNew) != 1 {
		t.Errorf("%d, %d subscriptions", a.status, f.count(siteNew))
	}
	// Scripts of operators.
	for _, site := range []string{siteA, siteNew} {
		if again := send(site, "k", 200); again != message {
			t.Errorf("a repeated request to %s made %s", site, again)
		}
		if a := f.do("GET", f.operator.URL+"/webpush/sites/"+site+"/messages/"+message, ""); a.status != 200 || !strings.Contains(a.body, `"site":"new.example"`) {
			t.Errorf("%s: %d %s", site, a.status, a.body)
		}
	}

	// Only the name is removed.
	var kept struct {
		api.SiteContents
		Removed bool
	}
	f.do("DELETE", f.operator.URL+"/webpush/sites/"+siteA+"?force=true", "").read(t, 200, &kept)
	if !kept.Removed || kept.OtherNameOf != siteNew || f.count(siteNew) != 1 {
		t.Errorf("%+v, %d subscriptions", kept, f.count(siteNew))
	}
	f.subscribe(siteA, 9)
	if f.count(siteA) != 1 || f.count(siteNew) != 1 {
		t.Error("the name does not start a new site")
	}
}

// TestOperatorMergeSites: two pop-ups with one id become two, and a visitor who has seen one of
// them reports on that one.
func TestOperatorMergeSites(t *testing.T) {
	f := newFixture(t)
	b, _ := f.subscribe(siteA, 1)
	f.subscribed(f.post(siteB, "subscribe", b.json("")))
	f.subscribe(siteB, 2)
	f.putPopup(siteA, "sale", "")
	v := &visit{fixture: f, site: siteA}
	v.send(anEvent)
	seen := v.ask("")
	if ids(seen) != "sale" {
		t.Fatalf("%+v", seen)
	}
	if a := f.api("PUT", siteB, "/popups/sale", `{"state":"running","kind":"box","content":{"title":"Another"}}`); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var out api.SiteMoving
	f.do("POST", f.operator.URL+"/webpush/sites/a.example/merge", `{"into":"b.example","dryRun":true}`, "Content-Type", "application/json").read(t, 200, &out)
	want := map[string]string{"sale": "sale-2"}
	if out.Shared != 1 || !reflect.DeepEqual(out.Popups, want) || f.count(siteB) != 2 {
		t.Errorf("%+v", out)
	}
	f.do("POST", f.operator.URL+"/webpush/sites/a.example/merge", `{"into":"b.example"}`, "Content-Type", "application/json").read(t, 200, &out)
	if out.Moved.Joined != 1 || !reflect.DeepEqual(out.Popups, want) || f.count(siteB) != 2 {
		t.Errorf("%+v, %d subscriptions", out, f.count(siteB))
	}
	v.report(seen.Popups[0], "viewed", "")
	for id, n := range map[string]int{"sale": 0, "sale-2": 1} {
		stats, err := f.store.PopupStats(t.Context(), siteB, id, time.Time{}, time.Time{})
		if err != nil || len(stats) != n {
			t.Errorf("%s: %v, %v", id, stats, err)
		}
	}
	v = &visit{fixture: f, site: siteA, n: 40}
	if got := v.ask(""); ids(got) != "sale" || got.Popups[0].Content.Title != "Another" {
		t.Errorf("%+v", got)
	}
}

func subscriptionID(t *testing.T, text string) pushsvc.SubscriptionID {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pushsvc.SubscriptionID(n)
}
