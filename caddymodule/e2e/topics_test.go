//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

const topicsOption = `prompt {
			after 1 page
			topics {
				news "Breaking news" checked
				deals "Deals" checked
				sport "Sport"
			}
		}`

func topicsSite(w http.ResponseWriter, r *http.Request) {
	body, ok := map[string]string{"/": "", "/settings": "<webpush-preferences></webpush-preferences>"}[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!DOCTYPE html><html lang="en"><head><title>News</title></head><body><h1>News</h1>`+body+`</body></html>`)
}

// boxes returns the ids of the topics in one of our elements, with a + for each
// checked one.
func boxes(element string) string {
	return fmt.Sprintf(`[...document.querySelector(%q)?.shadowRoot?.querySelectorAll("#topics input") ?? []].map((box) => box.value + (box.checked ? "+" : "")).join(" ")`, element)
}

// waitTopics waits until the site's only row has these topics.
func (p *product) waitTopics(ctx context.Context, origin string, want ...string) {
	p.t.Helper()
	for {
		var list struct {
			Subscriptions []struct{ Topics []string }
		}
		p.get("sites/"+host(origin)+"/subscriptions", &list)
		if s := list.Subscriptions; len(s) == 1 && slices.Equal(s[0].Topics, want) {
			return
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("the rows are %+v, want one with %q", list.Subscriptions, want)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// TestTopics: the topics that a visitor ticks are stored in the row and decide
// which messages come. It tests the prompt, the visitor's own settings and the
// page's API.
func TestTopics(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, http.HandlerFunc(topicsSite), topicsOption)
		origin := p.origins[0]
		page := visit(ctx, t, b, origin)
		must(t, browser.WaitFor(ctx, page, boxes("#webpush-prompt")+` === "news+ deals+ sport"`))
		must(t, page.Click(ctx, `input[value="deals"]`))
		accept(ctx, t, b, page, origin)
		p.waitTopics(ctx, origin, "news")
		var rows struct {
			Subscriptions []struct{ Topics []string }
		}
		p.cli(&rows, "subscribers", "--site", host(origin))
		if len(rows.Subscriptions) != 1 || !slices.Equal(rows.Subscriptions[0].Topics, []string{"news"}) {
			t.Errorf("the command has %+v", rows)
		}

		var none struct{ Results struct{ Audience int64 } }
		if err := p.tryCLI(&none, "send", "--site", host(origin), "--wait", "--title", "Deals "+u.name, "--topic", "deals", "--topic", "sport"); err == nil || none.Results.Audience != 0 {
			t.Errorf("to topics without subscribers: %v, %+v", err, none)
		}
		title := "Elections " + u.name
		if r := p.send(origin, "--title", title, "--topic", "sport", "--topic", "news").Results; r.Audience != 1 || r.Accepted != 1 {
			t.Errorf("to one that was chosen: %+v", r)
		}
		_, err := u.desktop.WaitTitle(ctx, u.name, title)
		must(t, err)

		// The visitor's own settings; in the same tab, so that everything has
		// been sent.
		must(t, page.Navigate(ctx, origin+"/settings"))
		must(t, browser.WaitFor(ctx, page, boxes("webpush-preferences")+` === "news+ deals sport"`))
		must(t, page.Eval(ctx, `void (window.told = [], webpush.on("topics", (ids) => told.push(ids.join())), webpush.on("subscribed", () => told.push("subscribed")))`, nil))
		must(t, page.Click(ctx, `input[value="sport"]`))
		p.waitTopics(ctx, origin, "news", "sport")
		must(t, page.Click(ctx, `input[value="news"]`))
		p.waitTopics(ctx, origin, "sport")

		// The API ignores ids that the site does not have.
		var got []string
		must(t, page.Eval(ctx, `webpush.setTopics(["unknown", "deals"]).then(() => webpush.topics())`, &got))
		if !slices.Equal(got, []string{"deals"}) {
			t.Errorf("chosen: %q", got)
		}
		must(t, page.Eval(ctx, `told`, &got))
		// The page's own visit may be sent only after the first click.
		if i := slices.Index(got, "subscribed"); i >= 0 {
			got = slices.Delete(got, i, i+1)
		}
		if !slices.Equal(got, []string{"news,sport", "sport", "deals"}) {
			t.Errorf("the page received %q", got)
		}
		p.waitTopics(ctx, origin, "deals")
		must(t, browser.WaitFor(ctx, page, boxes("webpush-preferences")+` === "news deals+ sport"`))

		// A page without stored data gets the topics from the server, and a
		// visitor who logs out gets the site's defaults.
		must(t, page.Eval(ctx, `void (localStorage.clear(), sessionStorage.clear())`, nil))
		must(t, page.Reload(ctx))
		must(t, browser.WaitFor(ctx, page, `localStorage.getItem("webpush:topics") === '["deals"]'`))
		p.waitTopics(ctx, origin, "deals")
		must(t, page.Eval(ctx, `webpush.logout()`, nil))
		p.waitTopics(ctx, origin, "deals", "news")
		must(t, browser.WaitFor(ctx, page, boxes("webpush-preferences")+` === "news+ deals+ sport"`))
		for _, n := range u.desktop.Notifications() {
			if n.Title == "Deals "+u.name {
				t.Error("a message for another topic was shown")
			}
		}
		must(t, page.Close(ctx))
	})
}
