package webpush

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestCheckAccepts(t *testing.T) {
	t.Parallel()
	own, err := ParseServices([]string{"Push.Example.net", "*.up.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	services := DefaultServices().With(own)
	for endpoint, want := range map[string]Endpoint{
		"https://fcm.googleapis.com/fcm/send/fv3j:APA91b-abc_DEF":         {Host: "fcm.googleapis.com", Service: ServiceFCM},
		"https://fcm.googleapis.com/wp/dXYz:APA91b":                       {Host: "fcm.googleapis.com", Service: ServiceFCM},
		"https://android.googleapis.com/gcm/send/APA91b":                  {Host: "android.googleapis.com", Service: ServiceFCM},
		"https://jmt17.google.com/fcm/send/abc:APA91b":                    {Host: "jmt17.google.com", Service: ServiceFCM},
		"https://updates.push.services.mozilla.com/wpush/v2/gAAAA":        {Host: "updates.push.services.mozilla.com", Service: ServiceMozilla},
		"https://web.push.apple.com/QABC-def_123":                         {Host: "web.push.apple.com", Service: ServiceApple},
		"https://wns2-par02p.notify.windows.com/w/?token=BQ%2fabc%2bd%3d": {Host: "wns2-par02p.notify.windows.com", Service: ServiceWNS},
		"https://fcm.googleapis.com:443/fcm/send/a":                       {Host: "fcm.googleapis.com", Service: ServiceFCM},
		"https://push.example.net/up/x":                                   {Host: "push.example.net", Service: ServiceOther},
		"https://a.b.up.example.net/x?y=z":                                {Host: "a.b.up.example.net", Service: ServiceOther},
	} {
		got, err := services.Check(endpoint)
		if err != nil {
			t.Errorf("%s: %v", endpoint, err)
			continue
		}
		if got.Host != want.Host || got.Service != want.Service || got.Origin != "https://"+want.Host {
			t.Errorf("%s: %+v", endpoint, got)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	own, err := ParseServices([]string{"*.up.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	services := DefaultServices().With(own)
	for endpoint, want := range map[string]Refusal{
		"": RefusedEmpty,
		"https://fcm.googleapis.com/" + strings.Repeat("a", 2048): RefusedTooLong,
		"https://fcm.googleapis.com/a b":                          RefusedCharacter,
		"https://fcm.googleapis.com/\x00":                         RefusedCharacter,
		"https://fcm.googleapis.com/ä":                            RefusedCharacter,
		"https://fcm.googleapis.com\\@evil.example/":              RefusedCharacter,
		" https://fcm.googleapis.com/a":                           RefusedCharacter,
		"https://fcm.googleapis.com/a\r\nHost: evil":              RefusedCharacter,
		"http://fcm.googleapis.com/a":                             RefusedScheme,
		"HTTPS://fcm.googleapis.com/a":                            RefusedScheme,
		"//fcm.googleapis.com/a":                                  RefusedScheme,
		"https:fcm.googleapis.com/a":                              RefusedScheme,
		"https://fcm.googleapis.com/a#":                           RefusedFragment,
		"https://fcm.googleapis.com#@evil.example/":               RefusedFragment,
		"https://user@fcm.googleapis.com/a":                       RefusedUserinfo,
		"https://@fcm.googleapis.com/a":                           RefusedUserinfo,
		"https://fcm.googleapis.com:pw@evil.example/a":            RefusedUserinfo,
		"https://fcm.googleapis.com:80/a":                         RefusedPort,
		"https://fcm.googleapis.com:/a":                           RefusedPort,
		"https://fcm.googleapis.com:0443/a":                       RefusedPort,
		"https://127.0.0.1/a":                                     RefusedIP,
		"https://2130706433/a":                                    RefusedIP,
		"https://0x7f000001/a":                                    RefusedIP,
		"https://127.1/a":                                         RefusedIP,
		"https://127.0.0.1./a":                                    RefusedIP,
		"https://[::1]/a":                                         RefusedIP,
		"https://[::ffff:a9fe:a9fe]:443/a":                        RefusedIP,
		"https://[fe80::1%25eth0]/a":                              RefusedIP,
		"https:///a":                                              RefusedHost,
		"https://FCM.googleapis.com/a":                            RefusedHost,
		"https://fcm.googleapis.com./a":                           RefusedHost,
		"https://.fcm.googleapis.com/a":                           RefusedHost,
		"https://-a.notify.windows.com/a":                         RefusedHost,
		"https://a_b.notify.windows.com/a":                        RefusedHost,
		"https://permanently-removed.invalid/fcm/send/x":          RefusedRemoved,
		"https://evil.example/fcm.googleapis.com/":                RefusedService,
		"https://localhost/a":                                     RefusedService,
		"https://evilfcm.googleapis.com/a":                        RefusedService,
		"https://evil.fcm.googleapis.com/a":                       RefusedService,
		"https://fcm.googleapis.com.evil.example/a":               RefusedService,
		"https://notify.windows.com/a":                            RefusedService,
		"https://evilnotify.windows.com/a":                        RefusedService,
		"https://up.example.net/a":                                RefusedService,
		"https://fcm.googleapis.com":                              RefusedForm,
		"https://fcm.googleapis.com?x":                            RefusedForm,
		"https://fcm.googleapis.com/../x":                         RefusedForm,
		"https://fcm.googleapis.com/a/%2E./x":                     RefusedForm,
		"https://fcm.googleapis.com/a/.":                          RefusedForm,
		"https://fcm.googleapis.com/":                             RefusedNoResource,
		"https://fcm.googleapis.com/%zz":                          RefusedForm,
		"https://fcm.googleapis.com/{x}":                          RefusedForm,
	} {
		_, err := services.Check(endpoint)
		var refused *EndpointError
		if !errors.As(err, &refused) {
			t.Errorf("%q: %v", endpoint, err)
			continue
		}
		if refused.Reason != want {
			t.Errorf("%q: %s, want %s", endpoint, refused.Reason, want)
		}
		if len(endpoint) > 8 && strings.Contains(err.Error(), endpoint[8:]) {
			t.Errorf("error repeats the endpoint: %v", err)
		}
	}
	if _, err := (Services{}).Check("https://fcm.googleapis.com/a"); err == nil {
		t.Error("the zero allow-list allows something")
	}
}

func TestCheckShared(t *testing.T) {
	t.Parallel()
	type row struct{ Payload string }
	services := DefaultServices()
	for _, name := range []string{"ssrf_push_generated.jsonl", "ssrf_urls.jsonl", "url_wpt.jsonl"} {
		rows := sharedRows[row](t, name)
		for _, r := range rows {
			if _, err := services.Check(payloadText(t, r.Payload)); err == nil {
				t.Errorf("%s: accepted %q", name, r.Payload)
			}
		}
		t.Logf("%s: %d refused", name, len(rows))
	}
	for _, r := range sharedRows[row](t, "endpoints_good.jsonl") {
		if _, err := services.Check(payloadText(t, r.Payload)); err != nil {
			t.Errorf("%q: %v", r.Payload, err)
		}
	}
}

func TestParseServicesRefuses(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"", "*", "*.", "*.com", "localhost", "https://push.example.net", "push.example.net/up", "push.example.net:8443",
		"10.0.0.1", "[::1]", "::1", "127.1", "0x7f.1", "push*.example.net", "*.*.example.net", "push.example.net.",
		".push.example.net", "pu sh.example.net", "püsh.example.net", "push_.example.net", "user@push.example.net",
	} {
		_, err := ParseServices([]string{"ok.example.net", pattern})
		var bad *PatternError
		if !errors.As(err, &bad) || bad.Pattern != pattern || bad.Problem == "" || !strings.Contains(err.Error(), bad.Problem) {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

// TestIsPlain: plainEndpoint accepts no byte that the URL rules look at.
func TestIsPlain(t *testing.T) {
	t.Parallel()
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:/"
	for c := range 256 {
		if want := c < 128 && strings.ContainsRune(plain, rune(c)); isPlain(byte(c)) != want {
			t.Errorf("%d: %v", c, !want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		"https://fcm.googleapis.com/fcm/send/a:b", "https://a.notify.windows.com/w/?token=%2f", "https://[::1]/",
		"https://x@fcm.googleapis.com:443/a", "https://fcm.googleapis.com\\@evil/", "https://up.example.net/", "",
	} {
		f.Add(s)
	}
	services := DefaultServices()
	f.Fuzz(func(t *testing.T, endpoint string) {
		got, err := services.Check(endpoint)
		if parsed, parseErr := services.parse(endpoint); parsed != got || (parseErr == nil) != (err == nil) {
			t.Fatalf("%q: %+v and %v without the parser, %+v and %v with it", endpoint, got, err, parsed, parseErr)
		}
		if err != nil {
			if len(endpoint) > 16 && strings.Contains(err.Error(), endpoint) {
				t.Fatal("error repeats the endpoint")
			}
			return
		}
		// An oracle without a URL parser: the text begins with the origin, then "/" or ":443/", and the host
		// is a known one.
		afterHost, ok := strings.CutPrefix(endpoint, "https://"+got.Host)
		if !ok || !strings.HasPrefix(strings.TrimPrefix(afterHost, ":443"), "/") {
			t.Fatalf("%q is not on %q", endpoint, got.Host)
		}
		known := got.Host == "fcm.googleapis.com" || got.Host == "android.googleapis.com" || got.Host == "jmt17.google.com" ||
			strings.HasSuffix(got.Host, ".push.services.mozilla.com") || strings.HasSuffix(got.Host, ".push.apple.com") ||
			strings.HasSuffix(got.Host, ".notify.windows.com")
		if !known {
			t.Fatalf("accepted host %q", got.Host)
		}
		if u, err := url.Parse(endpoint); err != nil || u.String() != endpoint {
			t.Fatalf("%q does not survive a round trip", endpoint)
		}
	})
}
