// Package stats has the statistics of the benchmarks.
package stats

import (
	"math"
	"slices"
)

// Estimate is a median with its 95 % interval.
type Estimate struct{ Median, Low, High float64 }

// Quantile returns the q-quantile of the values by linear interpolation, NaN if there are none.
func Quantile(values []float64, q float64) float64 {
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

// MedianOf returns the median with a 95 % confidence interval between two of the values, for any
// distribution: the number of values below the median is binomial. With fewer than 6 values it is the range.
func MedianOf(values []float64) Estimate {
	e := Estimate{Median: Quantile(values, 0.5), Low: math.NaN(), High: math.NaN()}
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
	e.Low, e.High = sorted[k], sorted[n-1-k]
	return e
}

// Ratios divides value by value.
func Ratios(over, under []float64) []float64 {
	out := make([]float64, min(len(over), len(under)))
	for i := range out {
		out[i] = over[i] / under[i]
	}
	return out
}

// Differences subtracts value by value.
func Differences(a, b []float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = a[i] - b[i]
	}
	return out
}

// Means is the mean of the two, value by value.
func Means(a, b []float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = (a[i] + b[i]) / 2
	}
	return out
}
