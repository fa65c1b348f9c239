package pushsvc

import "time"

// SubscriptionID names a subscription in its store. Ids rise with time and
// are never given to another recipient. Zero is no subscription.
type SubscriptionID uint64

// Lengths of a subscription's keys in bytes (RFC 8291 §3.1, §3.2).
const (
	P256DHSize = 65 // uncompressed point on P-256
	AuthSize   = 16
)

// Limits on what a subscription may carry, in bytes.
const (
	MaxEndpoint = 2048
	MaxLanguage = 35 // BCP 47 §4.4.1
	MaxTimeZone = 64
	MaxPage     = 2048
)

// Subscription is one browser's push subscription (Push API §8) with what we
// know of where it came from. Endpoint, P256DH and Auth are secrets.
type Subscription struct {
	ID       SubscriptionID
	Site     string
	Endpoint string
	P256DH   [P256DHSize]byte
	Auth     [AuthSize]byte
	// KeyID is the VAPID key that the browser subscribed with.
	KeyID string
	// Expiration is the browser's expirationTime; zero where it gave none.
	Expiration time.Time
	// Language is the browser's first language, a BCP 47 tag, or empty.
	Language string
	// TimeZone is an IANA name such as "Europe/Berlin", or empty.
	TimeZone string
	// Page is the path of the page on which the visitor agreed, or empty.
	Page string
	// Topics are the ids of those of the site's topics that the visitor has
	// chosen, as CleanTopics gives them. Nil is somebody who has never had the
	// choice, and empty one who has chosen none; both get what is for all.
	Topics []string
	// Device is the browser that it is of; zero where that is not known, or not
	// wanted to be.
	Device DeviceID
	// Created and Seen are when the subscription was first and last sent to
	// us, to the second.
	Created, Seen time.Time
	// Doubted is when a push service first said that the subscription is
	// gone, together with so many others that it was not believed; zero where
	// that has not happened since the browser was last seen. To the second.
	Doubted time.Time
}

// Proof shows that its bearer holds a subscription: the endpoint and the auth
// secret, both known only to the browser and to us.
type Proof struct {
	Endpoint string
	Auth     [AuthSize]byte
}
