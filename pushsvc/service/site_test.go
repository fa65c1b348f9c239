package service_test

import (
	"errors"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// TestSiteWithoutSubscribers: a configured site is a site before it has subscribers; a name that
// differs from it by the port is not, and is refused before anything is stored.
func TestSiteWithoutSubscribers(t *testing.T) {
	f := newFixture(t)
	f.withKey(t)
	f.Configured = sites{"a.example:8443": {}}
	content := pushsvc.Content{Title: "x"}
	sent, err := f.Send(t.Context(), service.SendRequest{Site: "a.example:8443", Content: content})
	if err != nil || sent.Message.Progress.Audience != 0 || len(sent.Warnings) == 0 {
		t.Errorf("%+v, %v", sent, err)
	}
	if rows, err := f.MessagePage(t.Context(), "a.example:8443", "", 9); err != nil || len(rows) != 1 {
		t.Errorf("%+v, %v", rows, err)
	}
	if rows, err := f.SubscriptionPage(t.Context(), "a.example:8443", 0, 9); err != nil || len(rows) != 0 {
		t.Errorf("%+v, %v", rows, err)
	}
	shared := popup.Popup{ID: "p", Kind: popup.Box, Content: popup.Content{Title: "T"}}
	for _, name := range []string{"a.example", "other.example"} {
		_, send := f.Send(t.Context(), service.SendRequest{Site: name, Content: content})
		_, put := f.PutPopup(t.Context(), name, shared, pushsvc.AnyRevision)
		_, settings := f.SetPopupSettings(t.Context(), name, popup.DefaultSettings(), pushsvc.AnyRevision)
		_, set := f.SetPrompt(t.Context(), name, prompt.Settings{}, pushsvc.AnyRevision)
		for what, err := range map[string]error{"send": send, "pop-up": put, "settings": settings} {
			var unknown *service.UnknownSiteError
			if !errors.As(err, &unknown) || (unknown.Near == "a.example:8443") != (name == "a.example") {
				t.Errorf("%s to %s: %v", what, name, err)
			}
		}
		if name == "other.example" && !errors.Is(set, pushsvc.ErrNotFound) {
			t.Errorf("prompt of %s: %v", name, set)
		}
	}
	if all, err := f.AllSites(t.Context()); err != nil || len(all) != 1 || all[0].Site != "a.example:8443" || !all[0].Configured || all[0].Messages != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}
