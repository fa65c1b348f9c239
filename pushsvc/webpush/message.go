package webpush

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush/h2push"
)

// MaxTTL is the maximum time to live of a message in seconds (28 days): FCM's bound, the lowest of the push
// services.
const MaxTTL = 2419200

// maxTopic is the longest topic (RFC 8030 §5.4).
const maxTopic = 32

// Urgency is how much a message may cost the device's battery (RFC 8030 §5.3).
type Urgency string

// The urgencies of RFC 8030. The empty Urgency is UrgencyNormal.
const (
	UrgencyVeryLow Urgency = "very-low"
	UrgencyLow     Urgency = "low"
	UrgencyNormal  Urgency = "normal"
	UrgencyHigh    Urgency = "high"
)

// Request is one message to one subscription.
type Request struct {
	// Endpoint is the subscription's URL, a secret.
	Endpoint string
	// P256DH and Auth are the subscription's keys from ParseSubscriptionKeys.
	P256DH [P256DHSize]byte
	Auth   [AuthSize]byte
	// Key is the pair that the browser subscribed with.
	Key *KeyPair
	// Contact is the VAPID "sub" (see CheckContact) or empty.
	Contact string
	// Payload is the plaintext, at most PayloadLimit bytes. Send neither changes nor keeps it.
	Payload []byte
	// TTL is how long the push service keeps the message for an offline device, in seconds from 0 to MaxTTL.
	TTL int
	// Urgency may be empty, which means normal.
	Urgency Urgency
	// Topic, if not empty, makes the message replace an undelivered one of the
	// same topic (RFC 8030 §5.4): 1 to 32 of A-Z a-z 0-9 - _.
	Topic string
}

// RequestError names the invalid field of a Request and the problem.
type RequestError struct {
	Field   string // "key", "ttl", "urgency" or "topic"
	Problem string
}

// Error implements error.
func (e *RequestError) Error() string { return e.Field + " " + e.Problem }

// checkTopic checks that topic is empty or valid in the Topic header.
func checkTopic(topic string) error {
	if len(topic) > maxTopic {
		return &RequestError{"topic", fmt.Sprintf("is longer than %d characters", maxTopic)}
	}
	for i := range len(topic) {
		c := topic[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return &RequestError{"topic", "can only have letters A-Z and a-z, digits, - and _"}
		}
	}
	return nil
}

// checkUrgency checks that u is empty or one of RFC 8030's.
func checkUrgency(u Urgency) error {
	switch u {
	case "", UrgencyVeryLow, UrgencyLow, UrgencyNormal, UrgencyHigh:
		return nil
	}
	return &RequestError{"urgency", "must be very-low, low, normal or high"}
}

// checkTTL checks that every service accepts the time to live.
func checkTTL(seconds int) error {
	if seconds < 0 || seconds > MaxTTL {
		return &RequestError{"ttl", fmt.Sprintf("must be between 0 and %d seconds", MaxTTL)}
	}
	return nil
}

func (r *Request) check() error {
	if r.Key == nil {
		return &RequestError{"key", "is missing"}
	}
	if err := checkTTL(r.TTL); err != nil {
		return err
	}
	if err := checkUrgency(r.Urgency); err != nil {
		return err
	}
	return checkTopic(r.Topic)
}

// message is a prepared request, which may be sent more than once. Its slices are reused for other messages.
type message struct {
	request h2push.Request
}

func newMessage() any {
	return &message{h2push.Request{
		Header: make([]h2push.Field, 0, 8),
		Body:   make([]byte, 0, headerSize+512+delimiter+tagSize),
	}}
}

// appendHeader appends the header of r for a service, except the length. What changes least comes first.
func (r *Request) appendHeader(h []h2push.Field, s Service, authorization string) []h2push.Field {
	h = append(h,
		h2push.Field{Name: "user-agent", Value: "caddy-webpush"},
		h2push.Field{Name: "content-encoding", Value: "aes128gcm"},
		h2push.Field{Name: "content-type", Value: "application/octet-stream"},
		h2push.Field{Name: "authorization", Value: authorization},
		h2push.Field{Name: "ttl", Value: strconv.Itoa(r.TTL)})
	if r.Urgency != "" && r.Urgency != UrgencyNormal {
		h = append(h, h2push.Field{Name: "urgency", Value: string(r.Urgency)})
	}
	if r.Topic != "" {
		h = append(h, h2push.Field{Name: "topic", Value: topicFor(s, r.Topic)})
	}
	if s == ServiceWNS {
		// WNS caches by default and answers 400 if that contradicts the TTL (webpush-go #66, pywebpush #162).
		policy := "cache"
		if r.TTL == 0 {
			policy = "no-cache"
		}
		h = append(h, h2push.Field{Name: "x-wns-cache-policy", Value: policy})
	}
	return h
}

// topicFor returns topic in a form that the service accepts. Apple decodes it as base64url and refuses
// lengths that base64url cannot have (BadWebPushTopic). A hash replaces those: equal topics stay equal,
// different ones differ.
func topicFor(s Service, topic string) string {
	if s != ServiceApple || len(topic)%4 != 1 {
		return topic
	}
	sum := sha256.Sum256([]byte(topic))
	return base64.URLEncoding.EncodeToString(sum[:24]) // 32 characters, no padding
}
