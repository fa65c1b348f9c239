package onsite

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// shares gives two numbers of at least 0 and below 1 that only depend on the
// texts, and not on each other.
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

// Assign says in which variant of a pop-up a visitor is: always the same one,
// as long as weights and share stay, and independent of those of other pop-ups.
// It is popup.Control for those who are only watched, popup.Base where there are
// no variants.
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

// HeldOut says whether a visitor is one of those who never see a pop-up of the
// site; percent is their share.
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
