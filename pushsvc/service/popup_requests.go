package service

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/audience"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/onsite"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/personal"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// Limits of a PopupsRequest.
const (
	maxCandidates = 200
	maxAnswered   = 10
	maxPage       = 8 << 10 // bytes of path, query and referrer
)

// PopupsRequest is a page's request for pop-ups.
type PopupsRequest struct {
	// Session is the id of the browser's session: 16 random bytes in base64url.
	Session  string    `json:"session"`
	Page     PageInput `json:"page"`
	Device   string    `json:"device" api:"oneof=desktop|phone|tablet"`
	Language string    `json:"language"`
	TimeZone string    `json:"timeZone"`
	Visits   int64     `json:"visits"`
	Views    int64     `json:"views"`
	// Candidates are the pop-ups that can apply, as far as the page knows; an
	// empty list means all.
	Candidates []string `json:"candidates"`
	// Shown is how often each was seen in this session.
	Shown map[string]int `json:"shown"`
	// Preview is the value of webpush_preview in the page's address.
	Preview string `json:"preview"`
	// Seed is as in a RecordRequest.
	Seed string `json:"seed"`
	// Shared means that a device that claims to be a person sees data from that
	// person's other devices.
	Shared bool `json:"-"`
	// Line is the id that pop-up tokens are bound to; zero means the device.
	Line pushsvc.DeviceID `json:"-"`
}

// PageInput describes the visitor's page.
type PageInput struct {
	Path     string    `json:"path"`
	Query    string    `json:"query"`
	Referrer string    `json:"referrer"`
	UTM      popup.UTM `json:"utm"`
}

// PopupsAnswer tells the page what to do.
type PopupsAnswer struct {
	// Popups may be shown, the most important first.
	Popups []WirePopup `json:"popups"`
	// Controls are pop-ups that this visitor does not see because of their
	// control group. The page waits as usual and then reports them as viewed, but
	// shows nothing.
	Controls []WireControl `json:"controls,omitempty"`
	// Preview is true if an operator previews a pop-up: it is shown at once, and
	// nothing is reported.
	Preview bool `json:"preview,omitempty"`
}

// WirePopup is a pop-up for one visitor.
type WirePopup struct {
	ID       string        `json:"id"`
	Variant  string        `json:"variant,omitempty"`
	Token    string        `json:"token"`
	Kind     popup.Kind    `json:"kind"`
	Position string        `json:"position,omitempty" api:"oneof=top|bottom|bottom-right|bottom-left|top-right|top-left|full"`
	Priority int           `json:"priority,omitempty"`
	Content  popup.Content `json:"content"`
	Click    popup.Action  `json:"click,omitzero"`
	Theme    popup.Theme   `json:"theme,omitzero"`
	When     popup.When    `json:"when,omitzero"`
	Caps     SessionCap    `json:"caps,omitzero"`
	Legacy   LegacyNames   `json:"legacy"`
}

// WireControl is a pop-up that the visitor's control group does not see.
type WireControl struct {
	ID       string     `json:"id"`
	Variant  string     `json:"variant" api:"oneof=control"`
	Token    string     `json:"token"`
	Priority int        `json:"priority,omitempty"`
	When     popup.When `json:"when,omitzero"`
	Caps     SessionCap `json:"caps,omitzero"`
}

// SessionCap is the cap that the page enforces.
type SessionCap struct {
	Session int `json:"session,omitempty"`
}

// LegacyNames are CleverTap's ids of a pop-up and its variant.
type LegacyNames struct {
	MsgID   string `json:"msgId"`
	PivotID string `json:"pivotId,omitempty"`
}

func (r *PopupsRequest) check() error {
	switch {
	case r.Session != "" && !pushsvc.IsRandomID(r.Session):
		return &pushsvc.FieldError{Field: "session", Problem: "is not 16 random bytes in base64url, which are 22 characters"}
	case len(r.Page.Path)+len(r.Page.Query)+len(r.Page.Referrer) > maxPage:
		return &pushsvc.FieldError{Field: "page", Problem: fmt.Sprintf("is longer than %d bytes", maxPage)}
	case len(r.Candidates) > maxCandidates:
		return &pushsvc.FieldError{Field: "candidates", Problem: fmt.Sprintf("has more than %d entries", maxCandidates)}
	case len(r.Shown) > maxCandidates:
		return &pushsvc.FieldError{Field: "shown", Problem: fmt.Sprintf("has more than %d members", maxCandidates)}
	}
	return nil
}

// PopupsFor returns the pop-ups that a visitor may see on a page. device is zero
// for a visitor who opts out of tracking: then only the page's own data counts.
// Faults are *pushsvc.FieldError.
func (s *Service) PopupsFor(ctx context.Context, site string, device pushsvc.DeviceID, r PopupsRequest) (PopupsAnswer, error) {
	answer := PopupsAnswer{Popups: []WirePopup{}}
	if err := r.check(); err != nil {
		return answer, err
	}
	st, err := s.popupSite(ctx, site)
	if err != nil {
		return answer, err
	}
	if len(st.running) == 0 && r.Preview == "" {
		return answer, nil
	}
	secret, err := s.live().Secret(ctx)
	if err != nil {
		return answer, err
	}
	v := &popupsVisit{service: s, site: site, st: st, device: device, r: r, now: s.Clock(), secret: secret}
	if !device.IsZero() {
		if v.facts, err = s.Store.Facts(ctx, site, device); err != nil {
			return answer, fmt.Errorf("reading what is known of the visitor: %w", err)
		}
		if v.facts.Profile != nil && !r.Shared {
			v.facts.Profile = v.facts.Profile.SeenBy(device)
		}
		v.line = device
		if !r.Line.IsZero() {
			v.line = r.Line
		}
	}
	if r.Preview != "" {
		return v.preview(ctx)
	}
	v.answer(ctx, &answer)
	return answer, nil
}

// popupsVisit is one request for pop-ups.
type popupsVisit struct {
	service *Service
	site    string
	st      *popupSite
	device  pushsvc.DeviceID
	line    pushsvc.DeviceID // of the browser; zero without a device
	facts   people.Facts
	r       PopupsRequest
	now     time.Time
	secret  []byte
}

// assignmentKey returns the id that selects the visitor's variants. It is the person's, if
// known, so that all of their devices show the same. It is the same before and
// after there is a profile.
func (v *popupsVisit) assignmentKey() string {
	device := v.line
	if profile := v.facts.Profile; profile != nil && !profile.Group.IsZero() {
		device = profile.Group
	}
	if device.IsZero() {
		return v.r.Session
	}
	text, _ := device.MarshalText()
	return string(text)
}

func (v *popupsVisit) visits() int64 {
	if v.facts.Profile != nil {
		return max(v.facts.Profile.Visits, v.r.Visits)
	}
	return v.r.Visits
}

func (v *popupsVisit) page() onsite.Page {
	return onsite.Page{
		Path: v.r.Page.Path, Query: v.r.Page.Query, Referrer: v.r.Page.Referrer, UTM: v.r.Page.UTM,
		Device: v.r.Device, Language: v.r.Language, Visits: v.visits(),
	}
}

// seen returns how often the visitor saw a pop-up; in its control group, how
// often they would have seen it, so that both are counted equally. The page and
// the profile may each know of views that the other doesn't: reports may be in
// transit, and storage may have been cleared.
func (v *popupsVisit) seen(p *popup.Popup, variant string) onsite.Seen {
	n := onsite.Seen{Session: v.r.Shown[p.ID]}
	if profile := v.facts.Profile; profile != nil {
		in, since, ever := profile.ViewsIn, profile.ViewsSince, profile.Popups[p.ID].Viewed
		if variant == popup.Control {
			in, since, ever = profile.KeptIn, profile.KeptSince, profile.Popups[p.ID].Kept
		}
		n.Session = max(n.Session, in(v.r.Session, p.ID))
		n.Today = since(p.ID, onsite.DayStart(v.now, onsite.Zone(p, v.r.TimeZone)))
		n.Ever = int(ever)
	}
	n.Today, n.Ever = max(n.Today, n.Session), max(n.Ever, n.Session)
	return n
}

// full reports whether the visitor has seen enough pop-ups of all counted kinds.
func (v *popupsVisit) full() bool {
	free, kept := map[string]bool{}, map[string]bool{}
	for _, p := range v.st.running {
		free[p.Popup.ID] = onsite.Uncounted(p.Popup.Kind)
		kept[p.Popup.ID] = p.Popup.Control > 0 && onsite.Assign(v.site, &p.Popup, v.assignmentKey()) == popup.Control
	}
	session, profileSession, today := 0, 0, 0
	for id, n := range v.r.Shown {
		if !free[id] && !kept[id] {
			session += max(n, 0)
		}
	}
	if profile := v.facts.Profile; profile != nil {
		day := onsite.DayStart(v.now, onsite.Zone(&popup.Popup{}, v.r.TimeZone))
		mark := pushsvc.SessionMark(v.r.Session)
		for _, shown := range profile.Shown {
			if !shown.Viewed() || free[shown.Popup] {
				continue
			}
			if mark != "" && shown.Session == mark {
				profileSession++
			}
			if !shown.At.Before(day) {
				today++
			}
		}
	}
	session = max(session, profileSession)
	return onsite.Full(v.st.settings, session, max(today, session))
}

// visitor returns the visitor for the audience's expression.
func (v *popupsVisit) visitor() audience.Visitor {
	profile := v.facts.Profile
	if profile == nil {
		profile = &people.Profile{Created: v.now, Seen: v.now}
	}
	who := profileVisitor(profile, v.now)
	who.Device, who.Subscribed, who.Visits, who.Language = v.r.Device, v.facts.Subscribed, v.visits(), v.r.Language
	return who
}

// values returns the values for templates.
func (v *popupsVisit) values() (plain, escaped personal.Values) {
	attributes := map[string]any{}
	if v.facts.Profile != nil && v.facts.Profile.Attributes != nil {
		attributes = v.facts.Profile.Attributes
	}
	all := map[string]any{
		"profile": attributes, "site": v.site, "language": v.r.Language, "device": v.r.Device, "visits": float64(v.visits()),
	}
	plain, _ = personal.Plain(all).(map[string]any)
	escaped, _ = personal.Escaped(all).(map[string]any)
	return plain, escaped
}

func (v *popupsVisit) answer(ctx context.Context, out *PopupsAnswer) {
	if onsite.HeldOut(v.site, v.assignmentKey(), v.st.settings.Holdout) {
		return
	}
	full, page, visitor := v.full(), v.page(), v.visitor()
	plain, escaped := v.values()
	for _, p := range v.st.running {
		if len(out.Popups)+len(out.Controls) == maxAnswered {
			return
		}
		if full && !onsite.Uncounted(p.Popup.Kind) || len(v.r.Candidates) > 0 && !slices.Contains(v.r.Candidates, p.Popup.ID) {
			continue
		}
		variant := onsite.Assign(v.site, &p.Popup, v.assignmentKey())
		if onsite.Decide(&p.Popup, page, v.now, v.r.TimeZone, v.seen(&p.Popup, variant)) != "" {
			continue
		}
		meant, err := p.who.Includes(visitor)
		if err != nil {
			v.complain(ctx, p, err)
		}
		if !meant {
			continue
		}
		if variant == popup.Control {
			out.Controls = append(out.Controls, WireControl{
				ID: p.Popup.ID, Variant: variant, Token: v.token(p, variant), Priority: p.Popup.Priority, When: p.Popup.When,
				Caps: SessionCap{p.Popup.Caps.Session},
			})
			continue
		}
		m, err := p.texts.Render(variant, plain, escaped)
		if err != nil {
			v.complain(ctx, p, err)
			continue
		}
		out.Popups = append(out.Popups, v.wire(&p.Popup, variant, v.token(p, variant), m))
	}
}

func (v *popupsVisit) token(p *runningPopup, variant string) string {
	return pushsvc.PopupToken(v.secret, v.site, p.Popup.ID, variant, v.line)
}

func (v *popupsVisit) wire(p *popup.Popup, variant, token string, m personal.Message) WirePopup {
	return WirePopup{
		ID: p.ID, Variant: variant, Token: token, Kind: p.Kind, Position: p.Position, Priority: p.Priority,
		Content: m.Content, Click: m.Click, Theme: m.Theme, When: p.When, Caps: SessionCap{p.Caps.Session},
		Legacy: LegacyNames{MsgID: p.ID + "_" + v.now.UTC().Format("20060102"), PivotID: variant},
	}
}

// complain logs once why a pop-up fails for a visitor. It does not log the
// visitor's values.
func (v *popupsVisit) complain(ctx context.Context, p *runningPopup, err error) {
	if p.failureLogged.CompareAndSwap(false, true) {
		v.service.log().WarnContext(ctx, "a pop-up can't be shown to a visitor; this is said once",
			"site", v.site, "popup", p.Popup.ID, "error", err)
	}
}
