package service_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
)

const site = "a.example"

// sites is a configuration.
type sites map[string]prompt.Settings

// Prompt implements service.ConfiguredSites.
func (s sites) Prompt(name string) (said, byDefault prompt.Settings, ok bool) {
	said, ok = s[name]
	return said, prompt.Default(false), ok
}

func (sites) Prefix(string) string { return "/_webpush" }

// EventNames implements service.ConfiguredSites.
func (sites) EventNames(string) []string { return []string{"Configured"} }

// Origin implements service.ConfiguredSites.
func (s sites) Origin(site string) string {
	if _, ok := s[site]; ok && !strings.Contains(site, ".") {
		return "http://" + site + ".localhost:8080"
	}
	return ""
}

// SiteOf implements service.ConfiguredSites: one host belongs to a site of another name.
func (s sites) SiteOf(host string) string {
	if _, ok := s[host]; ok {
		return host
	}
	if host == "moved.example" {
		return site
	}
	return ""
}

// Names implements service.ConfiguredSites.
func (s sites) Names() (names []string) {
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// withPrompts adds two sites and prompts to the service; faults receives their errors.
func (f *fixture) withPrompts(t *testing.T) (faults chan error) {
	t.Helper()
	faults = make(chan error, 100)
	f.Configured = sites{site: {Kind: ptr("bar"), Title: ptr("From the file")}, "b.example": {}}
	f.Live = service.NewLive(f.Store, f.now, func(err error) { faults <- err })
	if err := f.Live.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	return faults
}

// TestPromptLayers: the API's settings override the file's, and those the
// defaults. Operators see the source of each.
func TestPromptLayers(t *testing.T) {
	f := newFixture(t)
	f.withPrompts(t)
	check := func(v api.Prompt, kind, title, from string, revision bool) {
		t.Helper()
		got := []string{*v.Settings.Kind, *v.Settings.Title, string(v.Sources["kind"]) + " " + string(v.Sources["title"]) + " " + string(v.Sources["body"])}
		if !reflect.DeepEqual(got, []string{kind, title, from}) || v.Revision > 0 != revision || len(v.Sources) != 14 {
			t.Errorf("got %q, revision %d, sources %v", got, v.Revision, v.Sources)
		}
	}
	v, err := f.Prompt(t.Context(), "A.example:443")
	if err != nil || v.Site != site {
		t.Fatalf("%+v, %v", v, err)
	}
	check(v, "bar", "From the file", "caddyfile caddyfile default", false)
	v, err = f.SetPrompt(t.Context(), site, prompt.Settings{Kind: ptr("bell"), Body: ptr("")}, v.Revision)
	if err != nil || !v.Updated.Equal(f.now().Truncate(time.Millisecond)) {
		t.Fatalf("%+v, %v", v, err)
	}
	check(v, "bell", "From the file", "api caddyfile api", true)
	if o := f.Live.Prompt(site); o.Settings.Kind == nil || *o.Settings.Kind != "bell" || o.Revision != v.Revision {
		t.Errorf("visitors get %+v", o)
	}
	if o := f.Live.Prompt("b.example"); o.Revision != 0 || len(o.Settings.Said()) != 0 {
		t.Errorf("another site has %+v", o)
	}
	if _, err := f.SetPrompt(t.Context(), site, prompt.Settings{}, 0); !errors.Is(err, pushsvc.ErrRevision) {
		t.Errorf("writing over what one has not seen: %v", err)
	}
	if _, err := f.SetPrompt(t.Context(), site, prompt.Settings{Kind: ptr("x")}, v.Revision); fieldOf(err) != "kind" {
		t.Errorf("a wrong kind: %v", err)
	}
	if _, err := f.SetPrompt(t.Context(), site, prompt.Settings{Title: ptr(strings.Repeat("<", 5000))}, v.Revision); fieldOf(err) != "prompt" {
		t.Errorf("too much: %v", err)
	}
	if err := f.ResetPrompt(t.Context(), site, v.Revision+1); !errors.Is(err, pushsvc.ErrRevision) {
		t.Errorf("removing what one has not seen: %v", err)
	}
	if err := f.ResetPrompt(t.Context(), site, v.Revision); err != nil {
		t.Fatal(err)
	}
	if v, err = f.Prompt(t.Context(), site); err != nil {
		t.Fatal(err)
	}
	check(v, "bar", "From the file", "caddyfile caddyfile default", false)
	if o := f.Live.Prompt(site); o.Revision != 0 || len(o.Settings.Said()) != 0 {
		t.Errorf("visitors still get %+v", o)
	}
	if err := f.ResetPrompt(t.Context(), site, pushsvc.AnyRevision); err != nil {
		t.Errorf("removing nothing: %v", err)
	}
	if err := f.ResetPrompt(t.Context(), site, 1); !errors.Is(err, pushsvc.ErrRevision) {
		t.Errorf("removing removed settings again: %v", err)
	}
}

// TestPromptUnconfigured: a site that the configuration does not have is refused,
// and its stored settings can be read and removed.
func TestPromptUnconfigured(t *testing.T) {
	f := newFixture(t)
	f.withPrompts(t)
	var unknown *service.UnknownSiteError
	if _, err := f.Prompt(t.Context(), "c.example"); !errors.As(err, &unknown) || !strings.Contains(err.Error(), `known sites: a.example, b.example; did you mean`) {
		t.Errorf("%v", err)
	}
	if _, err := f.SetPrompt(t.Context(), "c.example", prompt.Settings{}, 0); !errors.As(err, &unknown) {
		t.Errorf("%v", err)
	}
	if err := f.ResetPrompt(t.Context(), "c.example", pushsvc.AnyRevision); !errors.As(err, &unknown) {
		t.Errorf("%v", err)
	}
	if _, err := f.Prompt(t.Context(), "c/d"); fieldOf(err) != "site" {
		t.Errorf("%v", err)
	}
	if _, err := f.SetPrompt(t.Context(), site, prompt.Settings{Title: ptr("x")}, 0); err != nil {
		t.Fatal(err)
	}
	delete(f.Configured.(sites), site)
	var unconfigured *service.UnconfiguredSiteError
	if _, err := f.Prompt(t.Context(), site); !errors.As(err, &unconfigured) || !unconfigured.Set || !strings.Contains(err.Error(), "until it is deleted") {
		t.Errorf("%v", err)
	}
	list, err := f.AllPrompts(t.Context())
	if err != nil || len(list) != 2 || list[0].Configured || !reflect.DeepEqual(list[0].Set, []string{"title"}) || !list[1].Configured || list[1].Revision != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if err := f.ResetPrompt(t.Context(), site, pushsvc.AnyRevision); err != nil {
		t.Error(err)
	}
	if list, err := f.AllPrompts(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestPromptsFaults: if the store fails or has invalid settings, visitors get the
// last ones, or the file's, and the fault is logged once.
func TestPromptsFaults(t *testing.T) {
	f := newFixture(t)
	faults := f.withPrompts(t)
	v, err := f.SetPrompt(t.Context(), site, prompt.Settings{Kind: ptr("bell")}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range []string{`{"kind":"telegram"}`, `[`, `{"kind":1}`} {
		row, err := f.Store.PutSetting(t.Context(), pushsvc.Setting{Site: site, Name: "prompt", Document: []byte(document)}, pushsvc.AnyRevision)
		if err != nil {
			t.Fatal(err)
		}
		if got := <-faults; !strings.Contains(got.Error(), site) {
			t.Errorf("%s: %v", document, got)
		}
		within(t, "the prompt is the file's", func() bool {
			o := f.Live.Prompt(site)
			return len(o.Settings.Said()) == 0 && o.Revision == row.Revision
		})
		v.Revision = row.Revision
	}
	if _, err := f.SetPrompt(t.Context(), site, prompt.Settings{Kind: ptr("bell")}, v.Revision); err != nil {
		t.Fatalf("writing over it: %v", err)
	}
	f.Service = &service.Service{Store: failing{f.Store}, Clock: f.now, Configured: f.Configured}
	f.Live = service.NewLive(f.Store, f.now, func(err error) { faults <- err })
	for range 100 {
		f.Live.Prompt(site)
	}
	if err := <-faults; !errors.Is(err, errFailing) {
		t.Errorf("%v", err)
	}
	if _, err := f.SetPrompt(t.Context(), site, prompt.Settings{}, pushsvc.AnyRevision); !errors.Is(err, errFailing) {
		t.Errorf("%v", err)
	}
}

var errFailing = errors.New("the store fails")

// failing is a store whose settings are invalid.
type failing struct{ store.Store }

func (failing) Setting(context.Context, string, string) (pushsvc.Setting, error) {
	return pushsvc.Setting{}, errFailing
}

func (failing) Settings(context.Context, string) ([]pushsvc.Setting, error) { return nil, errFailing }

func (failing) PutSetting(context.Context, pushsvc.Setting, pushsvc.Revision) (pushsvc.Setting, error) {
	return pushsvc.Setting{}, errFailing
}
