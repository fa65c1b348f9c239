package popup

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Join merges a site's pop-ups into those of another site. put are the pop-ups to store there, renamed their
// new ids. Equal pop-ups are stored once. A different one of a known id gets a new id and is paused, so that
// visitors don't suddenly see two.
func Join(have, incoming []Stored) (put []Stored, renamed map[string]string, err error) {
	taken := map[string]Popup{}
	for _, p := range have {
		taken[p.Popup.ID] = p.Popup
	}
	for _, p := range incoming {
		existing, known := taken[p.Popup.ID]
		if known && same(existing, p.Popup) {
			continue
		}
		if known {
			id := p.Popup.ID
			p.Popup.ID = freeID(id, func(id string) bool {
				_, have := taken[id]
				return have || slices.ContainsFunc(incoming, func(o Stored) bool { return o.Popup.ID == id })
			})
			if p.Popup.State == Running {
				p.Popup.State = Paused
			}
			if renamed == nil {
				renamed = map[string]string{}
			}
			renamed[id] = p.Popup.ID
		}
		taken[p.Popup.ID] = p.Popup
		put = append(put, p)
	}
	if len(taken) > MaxPopups {
		return nil, nil, fmt.Errorf("together they have %d pop-ups: %w", len(taken), ErrFull)
	}
	return put, renamed, nil
}

// JoinUploads returns the images, by name, that a site takes over from another one. It refuses more than one
// site may have.
func JoinUploads(have, incoming []string) (put []string, err error) {
	for _, name := range incoming {
		if !slices.Contains(have, name) {
			put = append(put, name)
		}
	}
	if n := len(have) + len(put); n > MaxUploads {
		return nil, fmt.Errorf("together they have %d images: %w", n, ErrFull)
	}
	return put, nil
}

// same compares what operators have written.
func same(a, b Popup) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// freeID appends the first number to the id that makes it a free one.
func freeID(id string, taken func(string) bool) string {
	for n := 2; ; n++ {
		end := fmt.Sprintf("-%d", n)
		if next := id[:min(len(id), MaxID-len(end))] + end; !taken(next) {
			return next
		}
	}
}
