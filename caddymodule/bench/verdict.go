//go:build linux

package main

import "github.com/caddy-webpush/caddy-webpush/pushsvc/bench/stats"

// verdict is the result of comparing an estimate with a budget.
type verdict string

const (
	pass    verdict = "PASS"
	miss    verdict = "MISS"
	unsure  verdict = "miss?" // over budget, but the interval reaches below it
	noLimit verdict = ""
)

// judge compares an estimate with a budget; 0 means none.
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
