package service

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// maxLate is the largest age of an event: the browser may have been offline.
const maxLate = 7 * 24 * time.Hour

// RecordRequest is the SDK's post about a visitor.
type RecordRequest struct {
	// Batch is the post's id: 16 random bytes in base64url. A repeated post
	// changes nothing.
	Batch string `json:"batch"`
	// Session is the id of the browser's session, in the same form; or empty.
	Session string `json:"session"`
	// Seed is a secret of the page, in the same form, that its first requests
	// share: those without a cookie belong to one visitor. It is not stored.
	Seed string `json:"seed"`
	// Sent is the time of sending, in milliseconds since 1970 by the browser's
	// clock: its error corrects the entries' times.
	Sent   float64      `json:"sent"`
	Events []EntryInput `json:"events" api:"required"`
	// Malformed is the number of unreadable entries.
	Malformed int64 `json:"-"`
}

// EntryInput is one entry of a RecordRequest. Type selects the fields that count.
type EntryInput struct {
	Report
	Name       string            `json:"name" api:"of=event!"`
	Props      map[string]any    `json:"props" api:"of=event"`
	Set        map[string]any    `json:"set" api:"of=profile|login"`
	Ops        []people.Op       `json:"ops" api:"of=profile"`
	Identities []IdentityInput   `json:"identities" api:"of=login!|adopt"`
	Signature  string            `json:"signature" api:"of=login|adopt"`
	Page       string            `json:"page" api:"of=visit"`
	Referrer   string            `json:"referrer" api:"of=visit"`
	UTM        map[string]string `json:"utm" api:"of=visit" ts:"PopupUTM"`
	Value      any               `json:"value" api:"of=optout!" ts:"boolean"`
	Device     string            `json:"device" api:"of=adopt"`
	Act        people.Act        `json:"act" api:"of=popup!,oneof=viewed|clicked|closed|submitted|error"`
	Popup      string            `json:"popup" api:"of=popup!"`
	Variant    string            `json:"variant" api:"of=popup"`
	Element    string            `json:"element" api:"of=popup"`
}

// IdentityInput is an identity with its own signature; the entry may have one for
// all.
type IdentityInput struct {
	Kind      people.IdentityKind `json:"kind" api:"required"`
	Value     string              `json:"value" api:"required"`
	Signature string              `json:"signature"`
}

// Sender is the sender of a post.
type Sender struct {
	Device pushsvc.DeviceID
	// Browser is the browser with the device's cookie. Without one the device
	// stays the same at a login.
	Browser pushsvc.Browser
	// Secret is the site's identity_secret; with one, only signed identities are
	// accepted.
	Secret pushsvc.Secret
}

// line returns the id that pop-up tokens are bound to.
func (f *Sender) line() pushsvc.DeviceID {
	if f.Browser.IsZero() {
		return f.Device
	}
	return f.Browser.Line()
}

// Record stores a visitor's data from the browser. It is durable when Record
// returns nil.
//
//   - Too long values are cut, and forbidden ones dropped, see people.CleanProps.
//   - Invalid entries are dropped and counted.
//   - Faults of the batch are *pushsvc.FieldError.
//   - ErrReplaced means that the cookie is from before a login, a logout or an
//     opt-out.
func (s *Service) Record(ctx context.Context, site string, from Sender, req RecordRequest) (people.Tracked, error) {
	b, reports, err := s.batch(ctx, site, from, req)
	if err != nil {
		return people.Tracked{}, err
	}
	if len(reports) > 0 {
		if err := s.Track(ctx, site, reports); err != nil {
			return people.Tracked{}, err
		}
	}
	if len(b.Entries) == 0 && b.Rejected == 0 && b.Malformed == 0 {
		return people.Tracked{}, nil
	}
	if err := s.admit(ctx, site); err != nil {
		return people.Tracked{}, err
	}
	if err := s.roomOf(ctx, site, from.Device); err != nil {
		return people.Tracked{}, err
	}
	changes := ""
	if people.MayMove(b.Entries) {
		changes = b.ID
	}
	if !from.Browser.IsZero() && !s.replaced.begin(b.Device, changes, s.Clock()) {
		return people.Tracked{}, ErrReplaced
	}
	b.Names = s.eventNames(ctx, site)
	out, err := s.Store.Track(ctx, site, b)
	if changes != "" && !out.Replaced && !out.Forgotten {
		s.replaced.undo(b.Device, b.ID)
	}
	if err != nil {
		return people.Tracked{}, fmt.Errorf("storing events: %w", err)
	}
	return out, nil
}

// batch checks and cleans a request.
func (s *Service) batch(ctx context.Context, site string, from Sender, req RecordRequest) (people.Batch, []Report, error) {
	b := people.Batch{Device: from.Device, ID: req.Batch, Session: req.Session, At: s.Clock(), Limits: s.PeopleLimits, Trusted: from.Secret != ""}
	switch {
	case !pushsvc.IsRandomID(req.Batch):
		return b, nil, &pushsvc.FieldError{Field: "batch", Problem: "is not 16 random bytes in base64url, which are 22 characters"}
	case req.Session != "" && !pushsvc.IsRandomID(req.Session):
		return b, nil, &pushsvc.FieldError{Field: "session", Problem: "is not 16 random bytes in base64url, which are 22 characters"}
	case len(req.Events) > people.MaxEntries:
		return b, nil, &pushsvc.FieldError{Field: "events", Problem: fmt.Sprintf("has more than %d entries", people.MaxEntries)}
	}
	secret, err := s.live().Secret(ctx)
	if err != nil {
		return b, nil, err
	}
	if !from.Browser.IsZero() {
		b.Next, b.Line = from.Browser.Next(secret, site, req.Batch, b.At).Device(), from.Browser.Line()
	}
	if s.Conversions != nil {
		b.Conversions = s.Conversions(ctx, site)
	}
	c := cleaner{service: s, site: site, from: from, secret: secret, now: b.At, skew: skew(b.At, req.Sent)}
	b.Malformed = req.Malformed
	for _, in := range req.Events {
		if !c.entry(in) {
			b.Malformed++
		}
	}
	b.Entries, b.Rejected = c.entries, c.rejected
	return b, c.reports, nil
}

// skew is the relevant error of the browser's clock.
func skew(now time.Time, sent float64) time.Duration {
	if sent <= 0 || sent > 8.64e15 || math.IsNaN(sent) {
		return 0
	}
	return now.Sub(time.UnixMilli(int64(sent)))
}

// cleaner makes entries from a post.
type cleaner struct {
	service *Service
	site    string
	from    Sender
	secret  []byte
	now     time.Time
	skew    time.Duration

	entries  []people.Entry
	reports  []Report
	rejected int64
	ops      int
}

func (c *cleaner) time(ms float64) time.Time {
	if ms <= 0 || ms > 8.64e15 || math.IsNaN(ms) {
		return c.now
	}
	t := time.UnixMilli(int64(ms)).Add(c.skew)
	switch {
	case t.After(c.now):
		return c.now
	case t.Before(c.now.Add(-maxLate)):
		return c.now.Add(-maxLate)
	}
	return t
}

// entry adds an entry; false if it is invalid.
func (c *cleaner) entry(in EntryInput) bool {
	e := people.Entry{Kind: people.EntryKind(in.Type), Time: c.time(in.Time)}
	switch e.Kind {
	case people.EntryEvent:
		name, ok := people.CleanEventName(in.Name)
		if !ok {
			return true // reserved or empty: the SDK has reported it to the page
		}
		e.Name, e.Props = name, people.CleanProps(in.Props, false)
	case people.EntryProfile:
		if c.ops += len(in.Ops); len(in.Ops) > people.MaxProps || c.ops > people.MaxOps {
			return false
		}
		for _, op := range in.Ops {
			if !op.Kind.Known() {
				return false
			}
		}
		e.Set, e.Ops = people.CleanProps(in.Set, true), in.Ops
	case people.EntryLogin:
		return c.login(e, in)
	case people.EntryAdopt:
		if e.Alias = cut(in.Device, 64); e.Alias != "" {
			c.entries = append(c.entries, e)
		}
		e.Kind, e.Alias = people.EntryLogin, ""
		return c.login(e, in)
	case people.EntryLogout:
	case people.EntryVisit:
		e.Visit = visit(in)
	case people.EntryOptOut:
		out, ok := in.Value.(bool)
		if !ok {
			return false
		}
		e.OptOut = out
	case people.EntryPopup:
		return c.popup(e, in)
	default:
		switch in.Report.Type {
		case pushsvc.ReceiptShown, pushsvc.ReceiptClicked, pushsvc.ReceiptClosed:
			c.reports = append(c.reports, in.Report)
			return true
		}
		return false
	}
	c.entries = append(c.entries, e)
	return true
}

// login accepts only signed identities, if the site requires that.
func (c *cleaner) login(e people.Entry, in EntryInput) bool {
	if len(in.Identities) > people.MaxIdentities {
		return false
	}
	for _, given := range in.Identities {
		id := people.Identity{Kind: given.Kind, Value: given.Value}
		if !id.Kind.Known() {
			return false
		}
		clean, ok := id.Clean()
		if !ok {
			continue // not a valid identity; the rest of the batch counts
		}
		if c.from.Secret != "" {
			signature := given.Signature
			if signature == "" {
				signature = in.Signature
			}
			if !people.CheckIdentity(c.from.Secret, id, signature) {
				c.rejected++
				continue
			}
		}
		e.Identities = append(e.Identities, clean)
	}
	if len(e.Identities) == 0 {
		return true
	}
	e.Set = people.CleanProps(in.Set, true)
	c.entries = append(c.entries, e)
	return true
}

var (
	popupPattern   = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)
	variantPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{0,64}$`)
)

// popup ignores reports without a genuine token: a forger learns nothing.
func (c *cleaner) popup(e people.Entry, in EntryInput) bool {
	switch {
	case !in.Act.Reported():
		return false
	case !popupPattern.MatchString(in.Popup):
		return false
	case !variantPattern.MatchString(in.Variant):
		return false
	}
	id, genuine := c.popupOf(in)
	if !genuine {
		return true
	}
	act := in.Act
	if in.Variant == popup.Control {
		// For the control group, the page hid it when it would have shown it.
		if act != people.ActViewed {
			return true
		}
		act = people.ActControl
	}
	e.Popup = &people.PopupAct{Popup: id, Variant: in.Variant, Act: act, Element: cut(in.Element, 64)}
	c.entries = append(c.entries, e)
	return true
}

// popupOf returns the token's pop-up; false if the token is invalid. A token from
// a former name of the site is for that name.
func (c *cleaner) popupOf(in EntryInput) (string, bool) {
	for _, name := range c.service.signedFor(c.site) {
		if pushsvc.CheckPopupToken(c.secret, name, in.Popup, in.Variant, c.from.line(), in.Token) {
			return c.service.popupNow(name, in.Popup), true
		}
	}
	return "", false
}

// maxUTM is the longest UTM parameter in characters, CleverTap's.
const maxUTM = 120

func visit(in EntryInput) *people.Visit {
	v := &people.Visit{Page: cut(in.Page, pushsvc.MaxPage), Referrer: cut(in.Referrer, pushsvc.MaxPage)}
	for _, name := range []string{"source", "medium", "campaign"} {
		if value := cut(in.UTM[name], maxUTM); value != "" {
			if v.UTM == nil {
				v.UTM = map[string]string{}
			}
			v.UTM[name] = value
		}
	}
	return v
}

// cut shortens a text to at most so many characters.
func cut(text string, most int) string {
	n := 0
	for i := range text {
		if n == most {
			return text[:i]
		}
		n++
	}
	return text
}

// ExportPerson returns all stored data of one person.
func (s *Service) ExportPerson(ctx context.Context, site, id string) (api.ProfileExport, error) {
	p, err := s.Store.Person(ctx, site, id)
	if err != nil {
		return api.ProfileExport{}, fmt.Errorf("exporting a profile: %w", err)
	}
	out := api.ProfileExport{Profile: p.Profile, HistoryEvents: p.History, Subscriptions: []api.ProfileExportSubscribed{}}
	// How rows are found, and which posts were seen, is not personal data.
	out.History = nil
	for i := range out.Devices {
		out.Devices[i].Batches = nil
	}
	for i := range out.Shown {
		out.Shown[i].Session = ""
	}
	if out.HistoryEvents == nil {
		out.HistoryEvents = []people.EventRecord{}
	}
	for _, sub := range p.Subscriptions {
		out.Subscriptions = append(out.Subscriptions, api.ProfileExportSubscribed{
			ID: sub.ID, Service: PushService(sub.Endpoint), Created: sub.Created, Seen: sub.Seen,
			Language: sub.Language, TimeZone: sub.TimeZone, Page: sub.Page,
		})
	}
	return out, nil
}

// RecordFromProxy stores what the proxy itself knows of a visitor; its identities
// are trusted.
func (s *Service) RecordFromProxy(ctx context.Context, site string, b people.Batch) error {
	if err := s.admit(ctx, site); err != nil {
		return err
	}
	if err := s.roomOf(ctx, site, b.Device); err != nil {
		return err
	}
	b.Limits, b.Trusted, b.Names = s.PeopleLimits, true, s.eventNames(ctx, site)
	if s.Conversions != nil {
		b.Conversions = s.Conversions(ctx, site)
	}
	if _, err := s.Store.Track(ctx, site, b); err != nil {
		return fmt.Errorf("storing events: %w", err)
	}
	return nil
}
