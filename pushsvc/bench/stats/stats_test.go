package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestQuantile(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		q      float64
		want   float64
	}{
		{"odd median", []float64{9, 1, 5}, 0.5, 5},
		{"even median", []float64{4, 1, 3, 2}, 0.5, 2.5},
		{"between", []float64{0, 10}, 0.25, 2.5},
		{"last", []float64{1, 2, 3}, 1, 3},
		{"one", []float64{7}, 0.99, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Quantile(tt.values, tt.q); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	if got := Quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
}

// TestMedianInterval draws from a skewed distribution with a known median: about 95 of 100 intervals must
// include it, and not nearly all.
func TestMedianInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{8, 20, 24, 51} {
		const draws = 4000
		inside := 0
		for range draws {
			values := make([]float64, n)
			for i := range values {
				values[i] = r.ExpFloat64()
			}
			if e := MedianOf(values); e.Low <= math.Ln2 && math.Ln2 <= e.High {
				inside++
			}
		}
		if share := float64(inside) / draws; share < 0.94 || share > 0.995 {
			t.Errorf("%d values: %.3f of the intervals have the median", n, share)
		}
	}
}

// TestFewValues: with up to 6 values, the interval is their range.
func TestFewValues(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		want   Estimate
	}{
		{"odd", []float64{9, 1, 5}, Estimate{5, 1, 9}},
		{"even", []float64{4, 1, 3, 2}, Estimate{2.5, 1, 4}},
		{"one", []float64{7}, Estimate{7, 7, 7}},
		{"six", []float64{4, 1, 6, 3, 2, 5}, Estimate{3.5, 1, 6}},
	} {
		if got := MedianOf(tt.values); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if !math.IsNaN(MedianOf(nil).Median) {
		t.Error("nothing has a median")
	}
	if got := Ratios([]float64{6, 9}, Means([]float64{1, 2}, []float64{3, 4})); got[0] != 3 || got[1] != 3 {
		t.Error(got)
	}
}
