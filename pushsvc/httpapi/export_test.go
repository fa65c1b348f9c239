package httpapi

import (
	"maps"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// PublicActions are the names of the actions that Public serves.
func PublicActions() []string { return slices.Sorted(maps.Keys(publicActions)) }

// Two ways to compute the same answer, for tests that compare them.

func DecodeWhole(body []byte) (req service.RecordRequest, ok bool) {
	err := exchange.Decode(body, &req, exchange.Lenient)
	return req, err == nil
}

func DecodeEntries(body []byte) (service.RecordRequest, error) { return decodeEntries(body) }
