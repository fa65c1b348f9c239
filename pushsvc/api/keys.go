package api

import "time"

// Key is a VAPID key of the ring, without its private half.
type Key struct {
	ID string `json:"id"`
	// PublicKey is the uncompressed point in base64url, as PushManager.subscribe takes it.
	PublicKey string    `json:"publicKey"`
	Created   time.Time `json:"created"`
	// Current is true for the key that new subscriptions are made with.
	Current bool `json:"current"`
	// Subscriptions is how many were made with it, if the request asks for that.
	Subscriptions *int64 `json:"subscriptions,omitempty"`
}

// KeyList is the ring, the current key first.
type KeyList struct {
	Keys []Key `json:"keys"`
}

// ImportKeyRequest adds a key pair to the ring.
type ImportKeyRequest struct {
	// PublicKey is the uncompressed point in base64url.
	PublicKey string `json:"publicKey" api:"required"`
	// PrivateKey is the scalar in base64url.
	PrivateKey string `json:"privateKey" api:"required"`
	// Current is false for a pair that must not become the current one.
	Current *bool `json:"current,omitempty"`
}
