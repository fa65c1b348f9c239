package webpush

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckContact(t *testing.T) {
	t.Parallel()
	for contact, problem := range map[string]string{
		"":                                   "",
		"mailto:ops@example.com":             "",
		"mailto:Ops.Team+push@Example.co.uk": "",
		"mailto:o'brien@xn--bcher-kva.de":    "",
		"https://example.com":                "",
		"https://example.com/contact?a=b":    "",
		"ops@example.com":                    `write "mailto:ops@example.com"`,
		"mailto:mailto:ops@example.com":      "twice",
		"mailto: ops@example.com":            "space",
		"Ops <mailto:ops@example.com>":       "angle",
		"mailto:<ops@example.com>":           "angle",
		"mailto:ops@localhost":               "resolve",
		"mailto:ops@box.local":               "resolve",
		"mailto:ops@box.LOCAL":               "resolve",
		"mailto:ops@intranet.internal":       "resolve",
		"mailto:ops@example":                 "resolve",
		"mailto:ops@a.internal":              "resolve",
		"mailto:ops@10.0.0.1":                "IP address",
		"mailto:ops@[10.0.0.1]":              "IP address",
		"mailto:ops":                         "one e-mail",
		"mailto:@example.com":                "one e-mail",
		"mailto:a@b@example.com":             "one e-mail",
		"mailto:ops@example.com?subject=hi":  "parameters",
		"mailto:a@example.com,b@example.com": "e-mail",
		"mailto:ops@example.com.":            "host name",
		"MAILTO:ops@example.com":             "lower case",
		"http://example.com":                 "https",
		"https://localhost":                  "resolve",
		"https://127.0.0.1/":                 "IP address",
		"https://[::1]/":                     "IP address",
		"https://user@example.com/":          "user name",
		"https://":                           "host name",
		"example.com":                        "neither",
		"mailto:ops@exämple.com":             "xn--",
		"mailto:o\nps@example.com":           "character",
		"mailto:" + strings.Repeat("a", 300): "longer",
		"https://example.com/\"":             "character",
		"mailto:ops@example.com\r\nX-Evil:1": "character",
	} {
		err := CheckContact(contact)
		if problem == "" {
			if err != nil {
				t.Errorf("%q: %v", contact, err)
			}
			continue
		}
		var bad *ContactError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: %v, want something about %q", contact, err, problem)
		}
	}
}

func FuzzCheckContact(f *testing.F) {
	f.Add("mailto:ops@example.com")
	f.Add("https://example.com/x")
	f.Add("ops@example.com")
	f.Fuzz(func(t *testing.T, contact string) {
		if CheckContact(contact) != nil || contact == "" {
			return
		}
		if !strings.HasPrefix(contact, "mailto:") && !strings.HasPrefix(contact, "https://") || strings.ContainsAny(contact, " <>\r\n\"") {
			t.Fatalf("accepted %q", contact)
		}
	})
}
