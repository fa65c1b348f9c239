//go:build linux

package main

import (
	"math"
	"slices"
)

// estimate is a median with its 95 % interval.
type estimate struct{ median, low, high float64 }

// quantile is the q-th one of the values by linear interpolation, NaN if there
// are none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// medianOf is the median with the interval between those values that have it
// between them in 95 of 100 cases, whatever the distribution: how many values
// are below the median is binomial. With fewer than 6 values it is the range.
func medianOf(values []float64) estimate {
	e := estimate{median: quantile(values, 0.5), low: math.NaN(), high: math.NaN()}
	n := len(values)
	if n == 0 {
		return e
	}
	sorted := slices.Sorted(slices.Values(values))
	// The largest k with P(B(n, 1/2) <= k-1) <= 2.5 %.
	k, below := 0, 0.0
	for term := math.Pow(0.5, float64(n)); k < n/2; k++ {
		below += term
		if below > 0.025 {
			break
		}
		term *= float64(n-k) / float64(k+1)
	}
	k = max(k-1, 0)
	e.low, e.high = sorted[k], sorted[n-1-k]
	return e
}

// ratios divides value by value.
func ratios(over, under []float64) []float64 {
	out := make([]float64, min(len(over), len(under)))
	for i := range out {
		out[i] = over[i] / under[i]
	}
	return out
}

// differences subtracts value by value.
func differences(a, b []float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = a[i] - b[i]
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

// verdict is what a budget says of an estimate.
type verdict string

const (
	pass    verdict = "PASS"
	miss    verdict = "MISS"
	unsure  verdict = "miss?" // over budget, but the interval has room below
	noLimit verdict = ""
)

// judge compares with a budget; 0 is none.
func judge(e estimate, budget float64) verdict {
	switch {
	case budget == 0:
		return noLimit
	case e.median <= budget:
		return pass
	case e.low > budget:
		return miss
	}
	return unsure
}
