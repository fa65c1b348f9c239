package caddymodule

import (
	"context"
	"net/http"
)

// OpenStores counts the references to each open store, for tests of the life
// cycle.
func OpenStores() map[string]int {
	open := make(map[string]int)
	stores.Range(func(key, _ any) bool {
		if n, ok := stores.References(key); ok {
			open[key.(string)] = n
		}
		return true
	})
	return open
}

// Checkup and Diagnosis are what the doctor says.
type (
	Checkup   = checkup
	Diagnosis = diagnosis
)

// Examine runs the doctor.
func Examine(ctx context.Context, transport http.RoundTripper, address string) (Checkup, error) {
	return newDoctor(transport).examine(ctx, address)
}

// ReachServices looks whether the push services can be reached, EncodingServers whether
// encode is inside of webpush, FailuresOf what browsers have told.
var (
	ReachServices   = reachServices
	EncodingServers = encodingServers
	FailuresOf      = failuresOf
)

// Deferring is the type of Caddy's writers that change headers late.
var Deferring = deferring
