package webpush_test

import (
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// TestKeyErrorsNameForms: the error of a private key that cannot be read names the accepted forms.
func TestKeyErrorsNameForms(t *testing.T) {
	for _, text := range []string{"abcd", "not a key!"} {
		if _, err := webpush.ReadKeyPair("", []byte(text)); err == nil || !strings.Contains(err.Error(), "base64url (43 characters), base64 or hex, or a file in PEM, DER or JSON") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
