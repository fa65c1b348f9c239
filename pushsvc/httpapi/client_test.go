package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

// TestClientHasRoutes: each route has its method.
func TestClientHasRoutes(t *testing.T) {
	client := reflect.TypeFor[*api.Client]()
	for _, r := range api.Routes {
		name := strings.ToUpper(r.Name[:1]) + r.Name[1:]
		if _, has := client.MethodByName(name); !has {
			t.Errorf("the client has no %s", name)
		}
	}
}

// TestClient: the server accepts what the client sends, and the client reads what the server
// answers.
func TestClient(t *testing.T) {
	f := newFixture(t)
	c, ctx := &api.Client{Server: f.operator.URL + "/"}, t.Context()
	if h, err := c.Health(ctx); err != nil || !h.Healthy {
		t.Errorf("%+v, %v", h, err)
	}
	f.subscribe(siteA, 1)
	_, id := f.subscribe(siteA, 2)
	m, err := c.Send(ctx, "key", api.SendRequest{Site: siteA, Content: pushsvc.Content{Title: "A & B <c>"}, SendAt: "2026-12-31T09:00:00+01:00"})
	if err != nil || m.State != pushsvc.StateScheduled || m.Message.Title != "A & B <c>" || m.Results.Audience != 2 || m.SendAt.Hour() != 8 {
		t.Errorf("%+v, %v", m, err)
	}
	again, err := c.SendToSite(ctx, siteA, "other", api.SendRequest{Content: pushsvc.Content{Title: "x"}, DryRun: true})
	if err != nil || !again.DryRun || again.Audience.Total != 2 {
		t.Errorf("%+v, %v", again, err)
	}
	list, err := c.ListMessages(ctx, siteA, api.Page{Limit: new(1)})
	if err != nil || len(list.Messages) != 1 || list.Next != m.ID {
		t.Errorf("%+v, %v", list, err)
	}
	if end, err := c.ListMessages(ctx, siteA, api.Page{Cursor: list.Next}); err != nil || len(end.Messages) != 0 {
		t.Errorf("%+v, %v", end, err)
	}
	if m, err = c.CancelMessage(ctx, siteA, m.ID); err != nil || m.State != pushsvc.StateCancelled {
		t.Errorf("%+v, %v", m, err)
	}
	if err := c.DeleteSubscription(ctx, siteA, id); err != nil {
		t.Error(err)
	}
	kind := "bar"
	set, err := c.SetPrompt(ctx, siteA, prompt.Settings{Kind: &kind}, 0)
	if err != nil || *set.Override.Kind != "bar" || set.Revision != 1 {
		t.Errorf("%+v, %v", set, err)
	}
	if err := c.ResetPrompt(ctx, siteA, set.Revision); err != nil {
		t.Error(err)
	}
	var copied bytes.Buffer
	backup, err := c.Backup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(&copied, backup); err != nil || copied.Len() < 1000 || backup.Close() != nil {
		t.Errorf("%d bytes, %v", copied.Len(), err)
	}
}

// TestClientMoves: an import accepts an export, and neither is held in memory.
func TestClientMoves(t *testing.T) {
	f := newFixture(t)
	c, ctx := &api.Client{Server: f.operator.URL}, t.Context()
	for n := range 3 {
		f.subscribe(siteA, n)
	}
	for media, format := range map[string]string{api.NDJSON: "web-push", api.CSV: "csv"} {
		out, err := c.ExportSubscriptions(ctx, siteA, media)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.ImportSubscriptions(ctx, siteB, api.ImportOptions{DryRun: true}, out)
		if err != nil || got.Rows != 3 || got.Added != 3 || string(got.Format) != format || !got.DryRun || out.Close() != nil {
			t.Errorf("%s: %+v, %v", media, got, err)
		}
	}
}

// TestClientErrors: an error of the server is returned with its status, code, field and text; so is
// an answer that is not the server's.
func TestClientErrors(t *testing.T) {
	f := newFixture(t)
	c, ctx := &api.Client{Server: f.operator.URL}, t.Context()
	second := func(_ any, err error) error { return err }
	var revision pushsvc.Revision = 7
	for name, tt := range map[string]struct {
		err    error
		status int
		code   api.Code
		field  string
	}{
		"a field":      {second(c.Send(ctx, "", api.SendRequest{Site: siteA})), 400, api.CodeField, "title"},
		"no site":      {second(c.ShowSite(ctx, "c.example")), 404, api.CodeUnknownSite, ""},
		"no message":   {second(c.ShowMessage(ctx, siteA, "x")), 404, api.CodeNotFound, ""},
		"a slash":      {second(c.ShowMessage(ctx, siteA, "a/b?c")), 404, api.CodeNotFound, ""},
		"the revision": {second(c.SetPrompt(ctx, siteA, prompt.Settings{}, revision)), 412, api.CodeRevision, ""},
	} {
		var p *api.Problem
		if !errors.As(tt.err, &p) || p.Status != tt.status || p.Code != tt.code || p.Field != tt.field || p.Detail == "" {
			t.Errorf("%s: %#v", name, tt.err)
		}
	}
	var p *api.Problem
	strange := &api.Client{Server: f.public.URL}
	if _, err := strange.ListSites(ctx); !errors.As(err, &p) || p.Status != http.StatusNotFound || p.Code == api.CodeNoRoute {
		t.Errorf("another server: %v", err)
	}
	text := httptest.NewServer(http.NotFoundHandler())
	defer text.Close()
	strange.Server = text.URL
	if _, err := strange.ListSites(ctx); !errors.As(err, &p) || p.Status != http.StatusNotFound || p.Detail != "the server answered 404: 404 page not found" {
		t.Errorf("a server of texts: %v", err)
	}
	if _, err := c.ListMessages(ctx, siteA, api.Page{Limit: new(0)}); !errors.As(err, &p) || p.Field != "limit" {
		t.Errorf("a limit of 0 is the server's to refuse: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.ListSites(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}

// TestClientRaw: a client that keeps the raw answers has the server's bytes, also of the
// routes with a path and a body; a failure leaves them as they are.
func TestClientRaw(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	var raw []byte
	c, ctx := &api.Client{Server: f.operator.URL}, t.Context()
	if _, err := c.KeepRaw(&raw).ListSites(ctx); err != nil || string(raw) != f.operate("GET", "sites", "").body {
		t.Errorf("%q, %v", raw, err)
	}
	m, err := c.KeepRaw(&raw).SendToSite(ctx, siteA, "", api.SendRequest{Content: pushsvc.Content{Title: "A & B"}, SendAt: "2026-12-31T09:00:00Z"})
	if want := f.operate("GET", "sites/"+siteA+"/messages/"+m.ID, "").body; err != nil || string(raw) != want {
		t.Errorf("%q, %v, want %q", raw, err, want)
	}
	before := string(raw)
	if _, err := c.KeepRaw(&raw).ShowMessage(ctx, siteA, "x"); err == nil || string(raw) != before {
		t.Errorf("a failure: %q, %v", raw, err)
	}
	if _, err := c.ListSites(ctx); err != nil || string(raw) != before {
		t.Errorf("a client that keeps nothing: %q, %v", raw, err)
	}
}

// TestClientExplain: the caller's words take the place of errors of all kinds of answers.
func TestClientExplain(t *testing.T) {
	f := newFixture(t)
	explained := errors.New("explained")
	c, ctx := &api.Client{Server: f.operator.URL, Explain: func(err error) error {
		if p := (*api.Problem)(nil); !errors.As(err, &p) || p.Status != http.StatusNotFound {
			t.Errorf("explains %v", err)
		}
		return explained
	}}, t.Context()
	_, decoded := c.ShowMessage(ctx, siteA, "x")
	stream, streamed := c.ExportSubscriptions(ctx, "unknown.example", api.CSV)
	for _, err := range []error{decoded, streamed, c.DeleteSubscription(ctx, siteA, "9")} {
		if !errors.Is(err, explained) {
			t.Errorf("%v", err)
		}
	}
	if _, err := c.ListSites(ctx); err != nil || stream != nil {
		t.Errorf("nothing to explain: %v; a stream that failed: %v", err, stream)
	}
}
