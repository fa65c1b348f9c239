package httpapi

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// SetIdle sets how long a client may take nothing of a long answer.
func (o *Operator) SetIdle(d time.Duration) { o.idle = d }

// DecodeJSON decodes as for browsers, DecodeStrict as for operators.
func DecodeJSON(body []byte, v any) error { return decodeJSON(body, v, lenient) }

func DecodeStrict(body []byte, v any) error { return decodeJSON(body, v, strict) }

// Two ways to the same answer, for tests to compare.

func DecodeWhole(body []byte) (req service.RecordRequest, ok bool) {
	err := decodeJSON(body, &req, lenient)
	return req, err == nil
}

func DecodeEntries(body []byte) (service.RecordRequest, error) { return decodeEntries(body) }
