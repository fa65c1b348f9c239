package webpush

import (
	"net/http"
	"testing"
	"time"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	all := []Service{ServiceFCM, ServiceMozilla, ServiceApple, ServiceWNS, ServiceOther}
	for _, tc := range []struct {
		name     string
		services []Service
		status   int
		body     string
		class    Class
		reason   Reason
		pause    bool
	}{
		{"ok", all, 200, "", ClassAccepted, ReasonAccepted, false},
		{"created", all, 201, "VapidPkHashMismatch", ClassAccepted, ReasonAccepted, false},
		{"accepted", all, 202, "", ClassAccepted, ReasonAccepted, false},
		{"redirect", all, 301, "", ClassFailed, ReasonRedirect, false},
		{"not modified", all, 304, "", ClassFailed, ReasonRedirect, false},
		{"permanent redirect", all, 308, "", ClassFailed, ReasonRedirect, false},
		{"bad request", all, 400, "", ClassFailed, ReasonBadRequest, false},
		{"wrong key at Apple", []Service{ServiceApple}, 400, `{"reason":"VapidPkHashMismatch"}`, ClassWrongKey, ReasonWrongKey, false},
		{"wrong key at Apple, other status", []Service{ServiceApple}, 403, `{"reason":"VapidPkHashMismatch"}`, ClassWrongKey, ReasonWrongKey, false},
		{"Apple's words elsewhere", []Service{ServiceFCM, ServiceMozilla, ServiceWNS, ServiceOther}, 400, `{"reason":"VapidPkHashMismatch"}`, ClassFailed, ReasonBadRequest, false},
		{"token at Apple", []Service{ServiceApple}, 403, `{"reason":"BadJwtToken"}`, ClassOurFault, ReasonUnauthorized, true},
		{"wrong key at FCM", []Service{ServiceFCM}, 403, "the key in the authorization header do not correspond to the sender ID", ClassWrongKey, ReasonWrongKey, false},
		{"wrong key at FCM, old", []Service{ServiceFCM}, 400, "UnauthorizedRegistration", ClassWrongKey, ReasonWrongKey, false},
		{"FCM's words elsewhere", []Service{ServiceMozilla, ServiceApple, ServiceWNS, ServiceOther}, 403, "do not correspond", ClassOurFault, ReasonUnauthorized, true},
		{"wrong key at Mozilla", []Service{ServiceMozilla, ServiceOther}, 401, `{"errno":109,"message":"VAPID public key mismatch"}`, ClassWrongKey, ReasonWrongKey, false},
		{"token at Mozilla", []Service{ServiceMozilla}, 401, `{"errno":109,"message":"Invalid VAPID expiry"}`, ClassOurFault, ReasonUnauthorized, true},
		{"unauthorized", all, 401, "", ClassOurFault, ReasonUnauthorized, true},
		{"forbidden", all, 403, "", ClassOurFault, ReasonUnauthorized, true},
		{"not found", all, 404, "", ClassGone, ReasonNotFound, false},
		{"method", all, 405, "", ClassFailed, ReasonBadRequest, false},
		{"406", []Service{ServiceFCM, ServiceMozilla, ServiceApple, ServiceOther}, 406, "", ClassFailed, ReasonBadRequest, false},
		{"406 at WNS", []Service{ServiceWNS}, 406, "", ClassLater, ReasonThrottled, true},
		{"timeout", all, 408, "", ClassLater, ReasonTimeout, false},
		{"gone", all, 410, "", ClassGone, ReasonGone, false},
		{"too large", all, 413, "", ClassFailed, ReasonTooLarge, false},
		{"throttled", []Service{ServiceFCM, ServiceMozilla, ServiceWNS, ServiceOther}, 429, "", ClassLater, ReasonThrottled, true},
		{"device throttled", []Service{ServiceApple}, 429, "", ClassLater, ReasonThrottled, false},
		{"error", all, 500, "", ClassLater, ReasonServerError, false},
		{"not implemented", all, 501, "", ClassLater, ReasonServerError, false},
		{"bad gateway", all, 502, "", ClassLater, ReasonServerError, false},
		{"unavailable", all, 503, "", ClassLater, ReasonUnavailable, true},
		{"gateway timeout", all, 504, "", ClassLater, ReasonServerError, false},
		{"nonsense", all, 999, "", ClassFailed, ReasonProtocol, false},
		{"informational", all, 101, "", ClassFailed, ReasonProtocol, false},
	} {
		for _, s := range tc.services {
			got := Classify(s, tc.status, http.Header{}, []byte(tc.body), epoch())
			if want := (Verdict{Class: tc.class, Reason: tc.reason, PauseOrigin: tc.pause}); got != want {
				t.Errorf("%s from %s: %+v, want %+v", tc.name, s, got, want)
			}
		}
	}
}

// TestClassifyGone: only 404 and 410 may end a subscription, whatever the body.
func TestClassifyGone(t *testing.T) {
	t.Parallel()
	for _, s := range []Service{ServiceFCM, ServiceMozilla, ServiceApple, ServiceWNS, ServiceOther} {
		for status := range 1000 {
			got := Classify(s, status, http.Header{"Retry-After": {"5"}}, []byte("gone NotRegistered Unregistered"), epoch())
			if (got.Class == ClassGone) != (status == 404 || status == 410) {
				t.Errorf("%s %d: %+v", s, status, got)
			}
			if (got.RetryAfter != 0) != (got.Class == ClassLater) {
				t.Errorf("%s %d: Retry-After with %+v", s, status, got)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	date := func(d time.Duration) string { return epoch().Add(d).Format(http.TimeFormat) }
	for value, want := range map[string]time.Duration{
		"":                                   0,
		"120":                                2 * time.Minute,
		" 120 ":                              2 * time.Minute,
		"0":                                  time.Second,
		"3600":                               time.Hour,
		"3601":                               time.Hour,
		"9223372036854775807":                time.Hour,
		"99999999999999999999999999":         time.Hour,
		"-1":                                 0,
		"1.5":                                0,
		"soon":                               0,
		"0x10":                               0,
		date(90 * time.Second):               90 * time.Second,
		date(-time.Hour):                     time.Second,
		date(0):                              time.Second,
		date(48 * time.Hour):                 time.Hour,
		"Fri, 31 Dec 9999 23:59:59 GMT":      time.Hour,
		"Mon, 01 Jan 0001 00:00:00 GMT":      time.Second,
		"Monday, 23-Nov-26 12:05:00 GMT":     5 * time.Minute,
		"Mon Nov 23 12:05:00 2026":           5 * time.Minute,
		"Mon, 23 Nov 2026 12:05:00 +0000":    0,
		"120, 240":                           0,
		"\u0661\u0662":                       0,
		"Wed, 99 Nov 2026 12:05:00 GMT evil": 0,
	} {
		if got := retryAfter(value, epoch()); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "120", "-1", "99999999999999999999", "Mon, 23 Nov 2026 12:05:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		f.Add(s, int64(0))
	}
	f.Fuzz(func(t *testing.T, value string, unix int64) {
		got := retryAfter(value, time.Unix(unix, 0))
		if got != 0 && (got < time.Second || got > time.Hour) {
			t.Fatalf("%q: %s", value, got)
		}
	})
}
