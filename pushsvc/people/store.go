package people

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Store keeps what sites know about their visitors. Sites share nothing. A site need not have subscriptions.
type Store interface {
	// Track applies the batch as Apply decides; it is durable when Track returns. A repeated batch changes
	// nothing.
	Track(ctx context.Context, site string, b Batch) (Tracked, error)
	// Facts returns what is known of a device's person; the zero value, without an error, if nothing is.
	Facts(ctx context.Context, site string, device pushsvc.DeviceID) (Facts, error)
	// FactsOf is Facts for many devices in one read, in their order.
	FactsOf(ctx context.Context, site string, devices []pushsvc.DeviceID) ([]Facts, error)
	// Person returns a person with history and subscriptions; ErrNotFound.
	Person(ctx context.Context, site, id string) (Person, error)
	// PersonBy returns the profile that has the identity, or else one that claims it; ErrNotFound.
	PersonBy(ctx context.Context, site string, identity Identity) (Profile, error)
	// ProfilePage returns at most limit profiles with ids above after, in rising order. An empty page is the
	// end. A row that can't be read is skipped.
	ProfilePage(ctx context.Context, site, after string, limit int) ([]Profile, error)
	// ErasePerson removes a profile with its devices, identities, history, and the subscriptions of its
	// devices; ErrNotFound. The site's counters keep the person's events, except names that only this person
	// has had: they may reveal who it was.
	ErasePerson(ctx context.Context, site, id string) error
	// EraseIdentity erases, as ErasePerson does, the profile that has the identity and at most limit that
	// claim it. Those that Profile.ErasedBy keeps only lose the claim. It returns the number of profiles that
	// it erased or changed; 0 if no profile has or claims the identity any more.
	EraseIdentity(ctx context.Context, site string, identity Identity, limit int) (int, error)
	// EventSummary returns the events that the site counts, by name.
	EventSummary(ctx context.Context, site string) ([]EventSummary, error)
	// PopupStats returns the pop-up's counters of the hours that begin in [from, to), by hour; zeros mean no
	// bound. Folded hours are in FoldedHour.
	PopupStats(ctx context.Context, site, popup string, from, to time.Time) ([]PopupCounter, error)
	// PeopleSites returns the sites that have or had people, by name.
	PeopleSites(ctx context.Context) ([]Summary, error)
	// PruneHistory removes at most limit rows of the site's history whose events all happened before the
	// given time, and returns how many.
	PruneHistory(ctx context.Context, site string, before time.Time, limit int) (int, error)
	// FoldPopups adds the counters of at most limit hours of the site's pop-ups, all before the given time,
	// to the pop-ups' FoldedHour, and returns the number of hours. Totals stay.
	FoldPopups(ctx context.Context, site string, before time.Time, limit int) (int, error)
	// PruneAnonymous looks at limit profiles with ids above after. It removes, as ErasePerson does, the
	// anonymous ones last seen before the given time, except those with a subscription. It returns the last
	// id that it looked at, "" at the end, and how many it removed.
	PruneAnonymous(ctx context.Context, site, after string, before time.Time, limit int) (next string, removed int, err error)
}

// Facts are what is known of a visitor.
type Facts struct {
	// Profile is nil if the device is unknown. Its History has no events.
	Profile *Profile
	// Subscribed reports whether the device has a subscription.
	Subscribed bool
}

// Person is all that is kept of one person.
type Person struct {
	Profile Profile
	// History has the latest events, the oldest first.
	History       []EventRecord
	Subscriptions []pushsvc.Subscription
}

// EventSummary is one event of a site.
type EventSummary struct {
	Name string `json:"name"`
	EventCount
}

// PopupCounter is one of a pop-up's counters.
type PopupCounter struct {
	PopupStat
	Count int64
}

// Summary is a site with the counts of its people.
type Summary struct {
	Site string `json:"site"`
	Counts
}

// FoldedHour has the sum of the counters of old hours.
var FoldedHour = time.Unix(0, 0).UTC()

// PopupHour has the counters of one pop-up in one hour. It is a store's row.
type PopupHour []PopupRow

// PopupRow is one counter of a PopupHour.
type PopupRow struct {
	Variant string `json:"v,omitempty"`
	Act     Act    `json:"a"`
	Element string `json:"e,omitempty"`
	Count   int64  `json:"n"`
}

// maxPopupRows bounds a PopupHour: elements come from browsers.
const maxPopupRows = 250

// Add adds n to a counter; if the row is full, to the counter without the element.
func (h PopupHour) Add(s PopupStat, n int64) PopupHour {
	for {
		for i, r := range h {
			if r.Variant == s.Variant && r.Act == s.Act && r.Element == s.Element {
				h[i].Count += n
				return h
			}
		}
		if len(h) < maxPopupRows || s.Element == "" {
			return append(h, PopupRow{s.Variant, s.Act, s.Element, n})
		}
		s.Element = ""
	}
}

// AddPopupText adds to the counters of a PopupHour in its JSON text; nil text means a new row. It edits the
// text instead of decoding it, which takes a fiftieth of the time: all writers wait meanwhile.
func AddPopupText(text []byte, stats map[PopupStat]int64) ([]byte, error) {
	if len(text) == 0 {
		text = []byte("[]")
	}
	add, bare := map[string]int64{}, map[string]string{}
	for s, n := range stats {
		row, err := rowText(s)
		if err != nil {
			return nil, err
		}
		add[row] += n
		s.Element = ""
		if bare[row], err = rowText(s); err != nil {
			return nil, err
		}
	}
	text, rows, err := addToText(text, add)
	if err != nil || len(add) == 0 {
		return text, err
	}
	overflow := map[string]int64{} // counters for which the row has no room
	for row, n := range add {
		if row != bare[row] && rows >= maxPopupRows {
			overflow[bare[row]] += n
			continue
		}
		text, rows = appendRow(text, row, n, rows), rows+1
	}
	text, rows, err = addToText(text, overflow)
	for row, n := range overflow {
		text, rows = appendRow(text, row, n, rows), rows+1
	}
	return text, err
}

// rowText returns a counter's text up to its number.
func rowText(s PopupStat) (string, error) {
	row, err := json.Marshal(PopupRow{s.Variant, s.Act, s.Element, 0})
	if err != nil {
		return "", fmt.Errorf("encoding a counter: %w", err)
	}
	return string(row[:len(row)-len("0}")]), nil
}

// addToText adds to the counters that the text has and removes them from add. It also returns how many
// counters the text has.
func addToText(text []byte, add map[string]int64) (out []byte, rows int, err error) {
	number := []byte(`"n":`) // never within a string, where each quote has a backslash
	copied := 0
	for at := 0; ; rows++ {
		next := bytes.Index(text[at:], number)
		if next < 0 {
			return append(out, text[copied:]...), rows, nil
		}
		row := text[at+max(bytes.IndexByte(text[at:], '{'), 0) : at+next+len(number)]
		at += next + len(number)
		n, wanted := add[string(row)]
		if !wanted {
			continue
		}
		length := max(bytes.IndexByte(text[at:], '}'), 0)
		have, err := strconv.ParseInt(string(text[at:at+length]), 10, 64)
		if err != nil {
			return nil, 0, errors.New("a counter is not a number")
		}
		delete(add, string(row))
		if out == nil {
			out = make([]byte, 0, len(text)+200)
		}
		out = strconv.AppendInt(append(out, text[copied:at]...), have+n, 10)
		copied = at + length
	}
}

// appendRow appends a counter to a text that has rows of them.
func appendRow(text []byte, row string, n int64, rows int) []byte {
	text = bytes.TrimSuffix(text, []byte("]"))
	if rows > 0 {
		text = append(text, ',')
	}
	return append(strconv.AppendInt(append(text, row...), n, 10), "}]"...)
}

// Fold adds another hour's counters.
func (h PopupHour) Fold(o PopupHour) PopupHour {
	for _, r := range o {
		h = h.Add(PopupStat{Variant: r.Variant, Act: r.Act, Element: r.Element}, r.Count)
	}
	return h
}

// Counters returns the row's counters.
func (h PopupHour) Counters(popup string, hour time.Time) (out []PopupCounter) {
	for _, r := range h {
		out = append(out, PopupCounter{PopupStat{Popup: popup, Variant: r.Variant, Act: r.Act, Element: r.Element, Hour: hour}, r.Count})
	}
	return out
}
