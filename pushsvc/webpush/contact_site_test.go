package webpush

import "testing"

func TestSiteContact(t *testing.T) {
	for site, want := range map[string]string{
		"shop.example.com":      "https://shop.example.com",
		"shop.example.com:8443": "https://shop.example.com:8443",
		"localhost:8080":        "",
		"192.0.2.1":             "",
		"[2001:db8::1]":         "",
		"shop":                  "", // the operator's own name
		"printer.local":         "",
	} {
		if got := SiteContact(site); got != want {
			t.Errorf("%s: %q, want %q", site, got, want)
		}
	}
}
