package service_test

import (
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// TestContactCure: the warning about the contact names the block that takes the option.
func TestContactCure(t *testing.T) {
	f := newFixture(t)
	f.Contact = ""
	got, err := f.DryRun(t.Context(), service.SendRequest{Site: "localhost:8080", Content: pushsvc.Content{Title: "x"}})
	if err != nil || !strings.Contains(strings.Join(got.Warnings, "\n"), "global options block at the top of the Caddyfile: { webpush { contact mailto:") {
		t.Errorf("%q, %v", got.Warnings, err)
	}
}

// TestPreviewPageCure: the error about a page repeats it.
func TestPreviewPageCure(t *testing.T) {
	s := newShop(t)
	s.put(`{"id":"p","kind":"box","content":{"title":"T"}}`)
	if _, err := s.Preview(t.Context(), shopSite, "p", "", "cart"); err == nil || !strings.Contains(err.Error(), `"cart" is neither http(s) nor a path: give a full URL`) {
		t.Errorf("%v", err)
	}
}
