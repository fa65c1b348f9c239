//go:build linux

package main

import "github.com/caddy-webpush/caddy-webpush/pushsvc/bench/stats"

// verdict is what a budget says of an estimate.
type verdict string

const (
	pass    verdict = "PASS"
	miss    verdict = "MISS"
	unsure  verdict = "miss?" // over budget, but the interval has room below
	noLimit verdict = ""
)

// judge compares with a budget; 0 is none.
func judge(e stats.Estimate, budget float64) verdict {
	switch {
	case budget == 0:
		return noLimit
	case e.Median <= budget:
		return pass
	case e.Low > budget:
		return miss
	}
	return unsure
}
