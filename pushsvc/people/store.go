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

// Store keeps what sites know of their visitors. Sites share nothing. A
// site need not have subscriptions.
type Store interface {
	// Track applies the batch as Apply says; it is durable when Track returns. A
	// repeated batch changes nothing.
	Track(ctx context.Context, site string, b Batch) (Tracked, error)
	// Facts gives what is known of a device's person; the zero value, without
	// an error, where nothing is.
	Facts(ctx context.Context, site string, device pushsvc.DeviceID) (Facts, error)
	// Person gives one, with history and subscriptions; ErrNotFound.
	Person(ctx context.Context, site, id string) (Person, error)
	// PersonBy gives the profile that has the identity, or else one that claims it;
	// ErrNotFound.
	PersonBy(ctx context.Context, site string, identity Identity) (Profile, error)
	// ProfilePage gives at most limit profiles with ids above after, in rising
	// order. An empty page is the end. A row that can't be read is passed over.
	ProfilePage(ctx context.Context, site, after string, limit int) ([]Profile, error)
	// ErasePerson removes a profile with all that belongs to it: devices,
	// identities, history and the subscriptions of its devices. What its
	// events added to the site's counters stays, but for names that nobody
	// else has had: they may tell who it was. ErrNotFound.
	ErasePerson(ctx context.Context, site, id string) error
	// EraseIdentity does that to who has the identity and to at most limit who claim
	// it, but for those that Profile.ErasedBy keeps: they lose the claim. It returns how many it was
	// done to; 0 where nobody has or claims the identity any more.
	EraseIdentity(ctx context.Context, site string, identity Identity, limit int) (int, error)
	// EventSummary lists the events that the site has counted, by name.
	EventSummary(ctx context.Context, site string) ([]EventSummary, error)
	// PopupStats lists the pop-up's counters of the hours that begin from from
	// on and before to, by hour; zeros for no bound. What was folded is in the
	// hour FoldedHour.
	PopupStats(ctx context.Context, site, popup string, from, to time.Time) ([]PopupCounter, error)
	// PeopleSites lists the sites that have or had people, by name.
	PeopleSites(ctx context.Context) ([]Summary, error)
	// PruneHistory removes at most limit rows of the site's history, all of
	// whose events happened before the given time, and says how many.
	PruneHistory(ctx context.Context, site string, before time.Time, limit int) (int, error)
	// FoldPopups adds the counters of at most limit hours of the site's pop-ups,
	// all before the given time, to the pop-ups' FoldedHour, and says how many
	// hours that were. Totals stay.
	FoldPopups(ctx context.Context, site string, before time.Time, limit int) (int, error)
	// PruneAnonymous looks at limit profiles with ids above after, and removes
	// those that are anonymous and were last seen before the given time, as
	// ErasePerson does, but for devices that have a subscription: these stay. It
	// gives the last id that it looked at, "" at the end, and how many it
	// removed.
	PruneAnonymous(ctx context.Context, site, after string, before time.Time, limit int) (next string, removed int, err error)
}

// Facts are what is known of a visitor.
type Facts struct {
	// Profile is nil where the device is unknown. Its History is not the
	// events themselves.
	Profile *Profile
	// Subscribed says whether the device has a subscription.
	Subscribed bool
}

// Person is all that is kept of one.
type Person struct {
	Profile Profile
	// History are the latest events, the oldest first.
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

// Summary is what a site has of people.
type Summary struct {
	Site string `json:"site"`
	Counts
}

// FoldedHour has the counters of hours that are no longer told apart.
var FoldedHour = time.Unix(0, 0).UTC()

// PopupHour are the counters of one pop-up in one hour, as a store's row.
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

// Add counts; beyond the bound, without the element.
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

// AddPopupText counts in a PopupHour as encoding/json writes it; nil for a row that is
// not there yet. It goes through the text instead of reading the row, which takes a
// fiftieth of the time: all writers wait meanwhile.
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
	rest := map[string]int64{} // for which there is no room of their own
	for row, n := range add {
		if row != bare[row] && rows >= maxPopupRows {
			rest[bare[row]] += n
			continue
		}
		text, rows = appendRow(text, row, n, rows), rows+1
	}
	text, rows, err = addToText(text, rest)
	for row, n := range rest {
		text, rows = appendRow(text, row, n, rows), rows+1
	}
	return text, err
}

// rowText is a counter's text up to its number.
func rowText(s PopupStat) (string, error) {
	row, err := json.Marshal(PopupRow{s.Variant, s.Act, s.Element, 0})
	if err != nil {
		return "", fmt.Errorf("encoding a counter: %w", err)
	}
	return string(row[:len(row)-len("0}")]), nil
}

// addToText adds to the counters that are there and takes them out of add. It also
// returns how many counters there are.
func addToText(text []byte, add map[string]int64) (out []byte, rows int, err error) {
	number := []byte(`"n":`) // never within a text, where a backslash is before each quote
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
			return nil, 0, errors.New("a counter is no number")
		}
		delete(add, string(row))
		if out == nil {
			out = make([]byte, 0, len(text)+200)
		}
		out = strconv.AppendInt(append(out, text[copied:at]...), have+n, 10)
		copied = at + length
	}
}

// appendRow adds a counter to so many.
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

// Counters gives the row's counters.
func (h PopupHour) Counters(popup string, hour time.Time) (out []PopupCounter) {
	for _, r := range h {
		out = append(out, PopupCounter{PopupStat{Popup: popup, Variant: r.Variant, Act: r.Act, Element: r.Element, Hour: hour}, r.Count})
	}
	return out
}
