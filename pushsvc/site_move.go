package pushsvc

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrSiteMoving means that rows of the site are still moving to or from another name, and the request has to
// wait for them.
var ErrSiteMoving = errors.New("rows of the site are still moving to its new name: try again later")

// SiteMove is a store's record of a renamed site. Once it has begun, From is an alias of Into: every call
// that names From means Into.
type SiteMove struct {
	From  string    `json:"from"`
	Into  string    `json:"into"`
	Begun time.Time `json:"begun"`
	// Running is true while rows of From are moving.
	Running bool `json:"running"`
	// Base is added to the ids of From's subscriptions, so that the ranges of waiting messages keep their
	// meaning.
	Base SubscriptionID `json:"base,omitempty"`
	// KeepFrom means that a subscription of both sites keeps From's id, because messages of From wait for it
	// and none of Into do.
	KeepFrom bool `json:"keepFrom,omitempty"`
	// Popups maps ids of From's pop-ups that Into uses for others to new ids.
	Popups map[string]string `json:"popups,omitempty"`
	// Moved counts the rows that have moved.
	Moved SiteMoved `json:"moved,omitzero"`
}

// SiteMoved counts rows that moved to another name, and those that were merged with an existing row.
type SiteMoved struct {
	Subscriptions int64 `json:"subscriptions"`
	// Joined subscriptions have an endpoint that both sites had.
	Joined   int64 `json:"joined"`
	Messages int64 `json:"messages"`
	Profiles int64 `json:"profiles"`
	// JoinedProfiles were merged into an existing profile.
	JoinedProfiles int64 `json:"joined_profiles"`
	Popups         int64 `json:"popups"`
	Uploads        int64 `json:"uploads"`
	Settings       int64 `json:"settings"`
}

// SiteNameError is why a site can't get another name.
type SiteNameError struct{ Problem string }

func (e *SiteNameError) Error() string { return e.Problem }

// BeginMove checks, before anything is changed, that a site's rows can move to another name. moves are all
// moves of the store. If this very move has begun already, it is returned, to be continued.
func BeginMove(moves []SiteMove, from, into string) (*SiteMove, error) {
	for i := range moves {
		m := &moves[i]
		switch {
		case m.From == from && m.Into == into:
			return m, nil
		case m.Running && (slices.Contains([]string{from, into}, m.From) || slices.Contains([]string{from, into}, m.Into)):
			return nil, fmt.Errorf("%s is moving to %s: %w", m.From, m.Into, ErrSiteMoving)
		case m.From == from:
			return nil, &SiteNameError{fmt.Sprintf("%s is already another name of %s: use that name", from, m.Into)}
		case m.From == into && m.Into != from:
			return nil, &SiteNameError{fmt.Sprintf("%s is another name of %s: use that name", into, m.Into)}
		}
	}
	return nil, nil
}

// Movable reports whether a message can move to another name: an engine may be sending one that has started
// and not ended.
func (m *Message) Movable() bool {
	return m.State.Final() || m.Started.IsZero() && m.State != StateCancelling && m.State != StateSending
}

// SiteBusyError means that a site can't be renamed while messages are being sent.
type SiteBusyError struct {
	Site     string
	Messages []string
}

func (e *SiteBusyError) Error() string {
	return fmt.Sprintf("site %s has messages that are being sent (%q): wait until they are done, or cancel them with 'caddy webpush messages cancel --site %s <id>'; messages that have not begun move with the site",
		e.Site, e.Messages[:min(len(e.Messages), 10)], e.Site)
}

// Join merges two sites' subscriptions of the same endpoint. The values seen last win, keys included. A
// choice of no topic at either site wins. ID and Site are s's.
func (s Subscription) Join(o Subscription) Subscription {
	newer, older := s, o
	if o.Seen.After(s.Seen) {
		newer, older = o, s
	}
	out := newer
	out.ID, out.Site = s.ID, s.Site
	if older.Created.Before(out.Created) {
		out.Created = older.Created
	}
	if out.Device.IsZero() {
		out.Device = older.Device
	}
	none := func(topics []string) bool { return topics != nil && len(topics) == 0 }
	switch {
	case none(s.Topics) || none(o.Topics):
		out.Topics = []string{}
	case out.Topics == nil:
		out.Topics = older.Topics
	}
	return out
}

// Shift returns the range of a message after its site's subscriptions got other ids.
func (r Range) Shift(site, message string, base SubscriptionID) Range {
	r.Site, r.MessageID = site, message
	if r.N != LaterRange {
		r.Cursor, r.Until = r.Cursor+base, r.Until+base
	}
	r.Settled = slices.Clone(r.Settled)
	for i := range r.Settled {
		r.Settled[i] += base
	}
	return r
}

// FreeMessageID returns the id of a message at its new site: its own, unless another message of that site has
// it.
func FreeMessageID(id string, taken func(string) bool) string {
	if !taken(id) {
		return id
	}
	for n := 2; ; n++ {
		if next := fmt.Sprintf("%s-%d", id, n); !taken(next) {
			return next
		}
	}
}

// NewMove returns the move that a store's BeginMove begins; begun is true for one that has begun already.
// moves are all moves of the store. stored reports whether anything is kept of from; unfinished are the
// messages of both sites that are not final.
func NewMove(moves []SiteMove, from, into string, at time.Time, stored bool, unfinished []Message) (m SiteMove, begun bool, err error) {
	switch there, err := BeginMove(moves, from, into); {
	case err != nil:
		return SiteMove{}, false, err
	case there != nil:
		return *there, true, nil
	case from == into || into == "" || len(into) > MaxSiteName:
		return SiteMove{}, false, &SiteNameError{"the new name of a site must be different, and not empty"}
	case !stored:
		return SiteMove{}, false, ErrNotFound
	}
	var busy []string
	fromWaits, intoWaits := false, false
	for i := range unfinished {
		m := &unfinished[i]
		if m.Site != from {
			intoWaits = true
			continue
		}
		fromWaits = true
		if !m.Movable() {
			busy = append(busy, m.ID)
		}
	}
	if len(busy) > 0 {
		return SiteMove{}, false, &SiteBusyError{Site: from, Messages: busy}
	}
	return SiteMove{From: from, Into: into, Begun: kept(at, time.Millisecond), Running: true, KeepFrom: fromWaits && !intoWaits}, false, nil
}

// Redirect changes the record of another name when m begins, and reports whether it stays: a name of From
// becomes one of Into, and Into is no other name any more.
func (m *SiteMove) Redirect(other *SiteMove) (stays bool) {
	if other.Into == m.From {
		other.Into = m.Into
	}
	return other.From != m.Into
}

// Unmoved returns ErrSiteMoving while rows are moving to the site.
func Unmoved(moves []SiteMove, site string) error {
	if slices.ContainsFunc(moves, func(m SiteMove) bool { return m.Into == site && m.Running }) {
		return ErrSiteMoving
	}
	return nil
}

// ForgetMoves returns the moves that end when RemoveSite removes the names: those of a name that is only
// another name, and the other names of a removed site. ErrSiteMoving if one of them is running.
func ForgetMoves(moves []SiteMove, names []string) (gone []SiteMove, err error) {
	for _, m := range moves {
		switch {
		case !slices.Contains(names, m.From) && !slices.Contains(names, m.Into):
		case m.Running:
			return nil, ErrSiteMoving
		default:
			gone = append(gone, m)
		}
	}
	return gone, nil
}

// Adopt counts a subscription of From, and returns the row that Into stores for it. known is Into's own row
// with that endpoint, as in Resubscribe. A row with another ID than known's replaces known.
func (m *SiteMove) Adopt(sub, known Subscription) Subscription {
	sub.ID, sub.Site = sub.ID+m.Base, m.Into
	switch {
	case known.ID == 0:
		m.Moved.Subscriptions++
		return sub
	case known.Endpoint == "": // it can't be read
		sub.ID = known.ID
		return sub
	}
	m.Moved.Joined++
	row := known.Join(sub)
	if m.KeepFrom {
		row.ID = sub.ID
	}
	return row
}

// AdoptMessage counts a message of From, and returns it as Into stores it; taken reports whether Into uses an
// id for another message.
func (m *SiteMove) AdoptMessage(msg Message, taken func(id string) bool) Message {
	msg.ID, msg.Site = FreeMessageID(msg.ID, taken), m.Into
	if msg.Only != 0 {
		msg.Only += m.Base
	}
	m.Moved.Messages++
	return msg
}

// AdoptedProfile counts a profile of From; joined reports whether it was merged into one of Into's.
func (m *SiteMove) AdoptedProfile(joined bool) {
	if joined {
		m.Moved.JoinedProfiles++
	} else {
		m.Moved.Profiles++
	}
}

// PopupID returns the id of From's pop-up at Into.
func (m *SiteMove) PopupID(id string) string {
	if to := m.Popups[id]; to != "" {
		return to
	}
	return id
}
