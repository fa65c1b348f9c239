//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math"
)

// The picture's dimensions, in its own units.
const (
	plotWidth, plotHeight   = 760, 320
	plotLeft, plotRight     = 56, 16
	plotTop, plotBottom     = 28, 40
	plotLines, plotMoments  = 5, 8 // of the grid, about
	plotInnerW, plotInnerH  = plotWidth - plotLeft - plotRight, plotHeight - plotTop - plotBottom
	plotAnonymous, plotFile = "#c2410c", "#2563eb"
)

// plot draws memory over time as SVG: MiB over seconds.
func plot(all []sample) []byte {
	var seconds, most float64
	for _, s := range all {
		seconds, most = max(seconds, s.at.Seconds()), max(most, s.anonymous/mib, s.file/mib)
	}
	stepX, stepY := niceStep(seconds/plotMoments), niceStep(most/plotLines)
	seconds, most = max(seconds, stepX), math.Ceil(max(most, stepY)/stepY)*stepY
	x := func(s float64) float64 { return plotLeft + s/seconds*plotInnerW }
	y := func(m float64) float64 { return plotTop + (1-m/most)*plotInnerH }

	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<title>Resident memory of the sending process over time</title>`+"\n"+`<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, plotHeight)
	for m := 0.0; m <= most+stepY/2; m += stepY {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end" fill="#444">%g</text>`+"\n",
			plotLeft, y(m), plotWidth-plotRight, plotLeft-6, y(m)+4, m)
	}
	for s := 0.0; s <= seconds; s += stepX {
		fmt.Fprintf(&b, `<path d="M%.1f %dv5" stroke="#444"/><text x="%.1f" y="%d" text-anchor="middle" fill="#444">%g</text>`+"\n",
			x(s), plotTop+plotInnerH, x(s), plotTop+plotInnerH+18, s)
	}
	fmt.Fprintf(&b, `<text x="8" y="16" fill="#444">MiB</text><text x="%d" y="%d" text-anchor="end" fill="#444">seconds</text>`+"\n",
		plotWidth-plotRight, plotHeight-6)
	for i, line := range []struct {
		colour, label string
		value         func(sample) float64
	}{
		{plotAnonymous, "heap and stacks", func(s sample) float64 { return s.anonymous }},
		{plotFile, "pages of the file and the program, which the kernel can drop", func(s sample) float64 { return s.file }},
	} {
		fmt.Fprintf(&b, `<text x="%d" y="16" fill="%s">%s</text>`+"\n"+`<polyline fill="none" stroke="%s" stroke-width="1.5" points="`,
			plotLeft+20+i*150, line.colour, line.label, line.colour)
		for _, s := range all {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(s.at.Seconds()), y(line.value(s)/mib))
		}
		b.WriteString(`"/>` + "\n")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// niceStep returns the smallest of 1, 2 or 5 times a power of ten that is at least the argument.
func niceStep(least float64) float64 {
	if least <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, f := range []float64{1, 2, 5} {
		if f*power >= least {
			return f * power
		}
	}
	return 10 * power
}
