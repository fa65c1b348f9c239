package webpush

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Class is what the caller must do about a subscription after an attempt.
type Class string

// The classes of outcomes.
const (
	// ClassAccepted: the push service accepted the message. This does not promise delivery.
	ClassAccepted Class = "accepted"
	// ClassGone: the subscription has ended (404, 410). Only this class may remove a subscription.
	// delivery/gone.go decides whether it does.
	ClassGone Class = "gone"
	// ClassWrongKey: the subscription belongs to another VAPID key pair. Keep
	// it and mark it stale.
	ClassWrongKey Class = "wrong_key"
	// ClassOurFault: the service refuses us, not the subscription: token,
	// contact or clock. Stop sending to the origin and tell the operator.
	ClassOurFault Class = "our_fault"
	// ClassLater: try again, after RetryAfter or with exponential back-off.
	ClassLater Class = "later"
	// ClassFailed: this message can't be sent to this subscription. Keep the subscription.
	ClassFailed Class = "failed"
)

// Reason is the cause of an outcome: a short fixed string that can label a metric or a counter.
type Reason string

// All reasons, by class.
const (
	ReasonAccepted Reason = "accepted" // 2xx

	ReasonGone     Reason = "gone"      // 410
	ReasonNotFound Reason = "not_found" // 404

	ReasonWrongKey Reason = "wrong_key"

	ReasonUnauthorized Reason = "unauthorized" // 401, 403
	ReasonVAPID        Reason = "vapid"        // no token could be made; nothing was sent

	ReasonThrottled      Reason = "throttled"       // 429; 406 from WNS
	ReasonUnavailable    Reason = "unavailable"     // 503
	ReasonServerError    Reason = "server_error"    // other 5xx
	ReasonTimeout        Reason = "timeout"         // ours, or 408
	ReasonDNS            Reason = "dns"             // the host name did not resolve
	ReasonTLS            Reason = "tls"             // no trusted connection
	ReasonRefused        Reason = "refused"         // the host takes no connections
	ReasonNetwork        Reason = "network"         // any other transport failure
	ReasonAddressRefused Reason = "address_refused" // the host resolved to an address that is not public
	ReasonCanceled       Reason = "canceled"        // the caller's context ended

	ReasonTooLarge        Reason = "too_large"        // 413, or over PayloadLimit
	ReasonRedirect        Reason = "redirect"         // 3xx; never followed (it has no meaning in RFC 8030)
	ReasonBadRequest      Reason = "bad_request"      // other 4xx
	ReasonProtocol        Reason = "protocol"         // not a final HTTP status
	ReasonEndpointRefused Reason = "endpoint_refused" // Services.Check; nothing was sent
	ReasonBadKeys         Reason = "bad_keys"         // the subscription's keys; nothing was sent
	ReasonInvalidMessage  Reason = "invalid_message"  // TTL, urgency or topic; nothing was sent
)

// Bounds on what a Retry-After header may ask for.
const (
	minRetryAfter = time.Second
	maxRetryAfter = time.Hour
)

// Verdict is the meaning of an answer.
type Verdict struct {
	Class  Class
	Reason Reason
	// RetryAfter is the minimum wait, from 1 s to 1 h, if Class is ClassLater and the service requires one;
	// otherwise 0.
	RetryAfter time.Duration
	// PauseOrigin is true if the wait (or, with ClassOurFault, the stop) applies to everything sent to the
	// origin.
	PauseOrigin bool
}

// Classify interprets a push service's answer: status, header and the first bytes of the body. now is for a
// Retry-After with a date. It is pure.
func Classify(s Service, status int, header http.Header, body []byte, now time.Time) Verdict {
	if isWrongKey(s, status, body) {
		return Verdict{Class: ClassWrongKey, Reason: ReasonWrongKey}
	}
	switch {
	case status >= 200 && status <= 299:
		return Verdict{Class: ClassAccepted, Reason: ReasonAccepted}
	case status >= 300 && status <= 399:
		return Verdict{Class: ClassFailed, Reason: ReasonRedirect}
	case status >= 500 && status <= 599:
		return laterVerdict(s, status, header, now)
	}
	switch status {
	case http.StatusNotFound:
		return Verdict{Class: ClassGone, Reason: ReasonNotFound}
	case http.StatusGone:
		return Verdict{Class: ClassGone, Reason: ReasonGone}
	case http.StatusUnauthorized, http.StatusForbidden:
		return Verdict{Class: ClassOurFault, Reason: ReasonUnauthorized, PauseOrigin: true}
	case http.StatusRequestEntityTooLarge:
		return Verdict{Class: ClassFailed, Reason: ReasonTooLarge}
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return laterVerdict(s, status, header, now)
	case http.StatusNotAcceptable:
		if s == ServiceWNS {
			return laterVerdict(s, status, header, now)
		}
	}
	if status >= 400 && status <= 499 {
		return Verdict{Class: ClassFailed, Reason: ReasonBadRequest}
	}
	return Verdict{Class: ClassFailed, Reason: ReasonProtocol}
}

// isWrongKey recognizes answers which mean that a subscription was made with another application server key.
// None of them has a documented status of its own, so the body decides.
func isWrongKey(s Service, status int, body []byte) bool {
	says := func(text string) bool { return bytes.Contains(body, []byte(text)) }
	switch s {
	case ServiceApple:
		return (status == http.StatusBadRequest || status == http.StatusForbidden) && says("VapidPkHashMismatch")
	case ServiceFCM:
		return status == http.StatusForbidden && says("do not correspond") ||
			status == http.StatusBadRequest && says("UnauthorizedRegistration")
	case ServiceMozilla, ServiceOther: // others are usually autopush
		return status == http.StatusUnauthorized && says("key mismatch")
	}
	return false
}

func laterVerdict(s Service, status int, header http.Header, now time.Time) Verdict {
	v := Verdict{Class: ClassLater, RetryAfter: retryAfter(header.Get("Retry-After"), now)}
	switch status {
	case http.StatusTooManyRequests, http.StatusNotAcceptable:
		v.Reason = ReasonThrottled
		// Apple counts per device, the others per sender.
		v.PauseOrigin = s != ServiceApple
	case http.StatusServiceUnavailable:
		v.Reason = ReasonUnavailable
		v.PauseOrigin = true
	case http.StatusRequestTimeout:
		v.Reason = ReasonTimeout
	default:
		v.Reason = ReasonServerError
	}
	return v
}

// retryAfter parses a Retry-After field (RFC 9110 §10.2.3), seconds or a date, and clamps it; 0 if it is
// missing or invalid.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		// Out of int64's range means over the maximum.
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return max(minRetryAfter, time.Duration(seconds)*time.Second)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), minRetryAfter), maxRetryAfter)
}
