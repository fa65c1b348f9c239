//go:build linux

package main

import (
	"math"
	"slices"
)

// estimate is a median and the range around it.
type estimate struct{ median, low, high float64 }

// medianOf is the median with the lowest and the highest value: with six
// rounds, the true median is between those in 97 of 100 cases, whatever the
// distribution (all six on one side of it: 2 × 1/2⁶). All are NaN where there
// is no value.
func medianOf(values []float64) estimate {
	if len(values) == 0 {
		return estimate{math.NaN(), math.NaN(), math.NaN()}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return estimate{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// ratios divides value by value.
func ratios(over, under []float64) []float64 {
	out := make([]float64, min(len(over), len(under)))
	for i := range out {
		out[i] = over[i] / under[i]
	}
	return out
}

// means is the mean of the two, value by value.
func means(a, b []float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = (a[i] + b[i]) / 2
	}
	return out
}
