package onsite

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// shares returns two independent numbers in [0, 1) that depend only on the texts.
func shares(texts ...string) (a, b float64) {
	var all []byte
	for _, t := range texts {
		all = binary.AppendUvarint(all, uint64(len(t)))
		all = append(all, t...)
	}
	sum := sha256.Sum256(all)
	share := func(b []byte) float64 { return float64(binary.BigEndian.Uint64(b)>>11) / (1 << 53) }
	return share(sum[:]), share(sum[8:])
}

// Assign returns the variant of a pop-up that a visitor sees. It is stable as long as weights and share stay
// the same, and independent of other pop-ups. It returns popup.Control for the control group, and popup.Base
// for a pop-up without variants.
func Assign(site string, p *popup.Popup, visitor string) string {
	inControl, at := shares("variant", site, p.ID, visitor)
	if inControl < float64(p.Control)/100 {
		return popup.Control
	}
	total := 0
	for _, v := range p.Variants {
		total += v.Weight
	}
	at *= float64(total)
	for _, v := range p.Variants {
		if at -= float64(v.Weight); at < 0 {
			return v.ID
		}
	}
	return popup.Base
}

// HeldOut reports whether a visitor is in the share (percent) that never sees a pop-up of the site.
func HeldOut(site, visitor string, percent int) bool {
	share, _ := shares("holdout", site, visitor)
	return share < float64(percent)/100
}

// Order sorts pop-ups: the highest priority first, then by id.
func Order(rows []popup.Stored) {
	slices.SortFunc(rows, func(a, b popup.Stored) int {
		return cmp.Or(cmp.Compare(b.Popup.Priority, a.Popup.Priority), cmp.Compare(a.Popup.ID, b.Popup.ID))
	})
}
