package httpapi

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// SetIdle sets how long a client may take nothing of a long answer.
func (o *Operator) SetIdle(d time.Duration) { o.idle = d }

// Two ways each to the same answer, for tests to compare.

func NamesOnce(body []byte) bool { return namesOnce(body) }

func WalkNames(body []byte) error { return walkNames(body) }

func DecodeWhole(body []byte) (service.RecordRequest, bool) { return decodeWhole(body) }

func DecodeEntries(body []byte) (service.RecordRequest, error) { return decodeEntries(body) }
