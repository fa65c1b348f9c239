package popup

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Bounds on a pop-up.
const (
	MaxSize       = 256 << 10 // bytes of JSON
	MaxHTML       = 64 << 10
	MaxID         = 64
	MaxName       = 200
	MaxTitle      = 1 << 10
	MaxBody       = 8 << 10
	MaxButtons    = 3
	MaxOptions    = 10
	MaxVariants   = 10
	MaxKV         = 50
	MaxCap        = 10_000
	maxPopupText  = 500 // labels, buttons, coupons
	maxPopupValue = 1 << 10
	maxPattern    = 500
	maxPlaces     = 50 // entries of a list in where
	maxControl    = 90
	maxAudience   = 4 << 10
	// MaxConversion is the longest time in which a conversion counts.
	MaxConversion = 90 * 24 * time.Hour
)

// Validate returns a *FieldError that names the wrong field and its cure; nil if the pop-up can be shown. It
// does not check the audience's expression and the templates.
func (p *Popup) Validate() error {
	for _, check := range []func() error{
		p.validateLook, p.validateMessage, p.validateVariants, p.validateWhen, p.validateWindow, p.validateTargets,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	if err := p.Where.validate(); err != nil {
		return err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding the pop-up: %w", err)
	}
	if len(text) > MaxSize {
		return &pushsvc.FieldError{Field: "popup", Problem: fmt.Sprintf("is %d bytes too long: all fields together may have %d bytes as JSON", len(text)-MaxSize, MaxSize)}
	}
	return nil
}

var popupID = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// checkID checks the id of a pop-up or a variant.
func checkID(field, id string) error {
	if !popupID.MatchString(id) {
		return &pushsvc.FieldError{Field: field, Problem: fmt.Sprintf(`is not 1 to %d of a–z, 0–9, "-" and "_", such as "spring-sale"`, MaxID)}
	}
	return nil
}

// oneOf accepts an empty value only if it is among the choices.
func oneOf(field, value string, choices ...string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	var quoted []string
	for _, c := range choices {
		if c != "" {
			quoted = append(quoted, `"`+c+`"`)
		}
	}
	return &pushsvc.FieldError{Field: field, Problem: "is not one of " + strings.Join(quoted, ", ")}
}

// within checks the size of a number.
func within(field string, n, least, most int) error {
	if n < least || n > most {
		return &pushsvc.FieldError{Field: field, Problem: fmt.Sprintf("is not between %d and %d", least, most)}
	}
	return nil
}

// text checks the size and the bytes of a text.
func text(field, s string, most int) error {
	switch {
	case len(s) > most:
		return &pushsvc.FieldError{Field: field, Problem: fmt.Sprintf("is longer than %d bytes", most)}
	case !utf8.ValidString(s):
		return &pushsvc.FieldError{Field: field, Problem: "is not valid UTF-8"}
	case strings.ContainsRune(s, 0):
		return &pushsvc.FieldError{Field: field, Problem: "has a zero byte"}
	}
	return nil
}

// corners are where a corner may be, edges where a banner may.
var (
	corners = []string{"bottom-right", "bottom-left", "top-right", "top-left"}
	edges   = []string{"top", "bottom"}
)

func (p *Popup) validateLook() error {
	if err := checkID("id", p.ID); err != nil {
		return err
	}
	if err := text("name", p.Name, MaxName); err != nil {
		return err
	}
	if err := oneOf("state", string(p.State), string(Draft), string(Running), string(Paused)); err != nil {
		return err
	}
	if err := oneOf("kind", string(p.Kind), string(Box), string(Banner), string(Interstitial), string(Corner),
		string(Image), string(Inbox), string(HTML), string(Custom)); err != nil {
		return err
	}
	places := []string{""}
	switch p.Kind {
	case Banner:
		places = append(places, edges...)
	case Corner:
		places = append(places, corners...)
	case HTML:
		places = slices.Concat(places, edges, corners, []string{"full"})
	}
	if len(places) == 1 && p.Position != "" {
		return &pushsvc.FieldError{Field: "position", Problem: "is only for banner, corner and html: leave it out"}
	}
	return oneOf("position", p.Position, places...)
}

func (p *Popup) validateMessage() error {
	if err := p.Content.validate("content.", p.Kind); err != nil {
		return err
	}
	if err := p.Click.validate("click.", &p.Content); err != nil {
		return err
	}
	return p.Theme.validate("theme.")
}

func (p *Popup) validateVariants() error {
	if len(p.Variants) > MaxVariants {
		return &pushsvc.FieldError{Field: "variants", Problem: fmt.Sprintf("has more than %d entries", MaxVariants)}
	}
	seen, weights := map[string]bool{}, 0
	for i, v := range p.Variants {
		at := fmt.Sprintf("variants[%d].", i)
		if err := checkID(at+"id", v.ID); err != nil {
			return err
		}
		if seen[v.ID] {
			return &pushsvc.FieldError{Field: at + "id", Problem: "is used by an earlier variant"}
		}
		if v.ID == Control {
			return &pushsvc.FieldError{Field: at + "id", Problem: `is the name of the control group: take another, and set the group's share in "control"`}
		}
		seen[v.ID] = true
		if err := within(at+"weight", v.Weight, 0, 10_000); err != nil {
			return err
		}
		weights += v.Weight
		if err := checkWithout(at, v.Without); err != nil {
			return err
		}
		content, click, theme := p.Variant(v.ID)
		if err := content.validate(at+"content.", p.Kind); err != nil {
			return err
		}
		field := at + "click."
		if v.Click == nil {
			field = "click."
		}
		if err := click.validate(field, &content); err != nil {
			return err
		}
		if err := theme.validate(at + "theme."); err != nil {
			return err
		}
	}
	if len(p.Variants) > 0 && weights == 0 {
		return &pushsvc.FieldError{Field: "variants", Problem: `need a weight: give one a number, such as "weight": 50`}
	}
	return within("control", p.Control, 0, maxControl)
}

func (p *Popup) validateWhen() error {
	for _, f := range []struct {
		name        string
		value, most int
	}{
		{"when.seconds", p.When.Seconds, 3600},
		{"when.scroll", p.When.Scroll, 100},
		{"when.idle", p.When.Idle, 3600},
		{"caps.session", p.Caps.Session, MaxCap},
		{"caps.day", p.Caps.Day, MaxCap},
		{"caps.lifetime", p.Caps.Lifetime, MaxCap},
	} {
		if err := within(f.name, f.value, 0, f.most); err != nil {
			return err
		}
	}
	if p.When.Event != "" {
		if err := eventName("when.event", p.When.Event); err != nil {
			return err
		}
	}
	return text("when.click", p.When.Click, maxPattern)
}

// windowLayouts are the formats of From and Until.
var windowLayouts = []string{"2006-01-02T15:04", "2006-01-02T15:04:05"}

// ParseWindow reads From or Until by the clock of the zone.
func ParseWindow(s string, zone *time.Location) (time.Time, error) {
	for _, layout := range windowLayouts {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time, such as 2026-12-01T09:00", s)
}

func (p *Popup) validateWindow() error {
	zone := time.UTC
	if p.TimeZone != "" && p.TimeZone != ZoneVisitor {
		var err error
		// "Local" would be the server's zone.
		if zone, err = time.LoadLocation(p.TimeZone); err != nil || p.TimeZone == "Local" {
			return &pushsvc.FieldError{Field: "timeZone", Problem: `is neither "visitor" nor a time zone such as "Europe/Berlin"`}
		}
	}
	var ends [2]time.Time
	for i, f := range []struct{ name, value string }{{"from", p.From}, {"until", p.Until}} {
		if f.value == "" {
			continue
		}
		t, err := ParseWindow(f.value, zone)
		if err != nil || t.Year() < 1970 {
			return &pushsvc.FieldError{Field: f.name, Problem: `is not a time without a zone, such as "2026-12-01T09:00": put the zone into timeZone`}
		}
		ends[i] = t
	}
	if p.From != "" && p.Until != "" && !ends[0].Before(ends[1]) {
		return &pushsvc.FieldError{Field: "until", Problem: "is not after from"}
	}
	return nil
}

func (p *Popup) validateTargets() error {
	if err := text("audience", p.Audience, maxAudience); err != nil {
		return err
	}
	if err := within("priority", p.Priority, -1_000_000, 1_000_000); err != nil {
		return err
	}
	if p.Conversion == nil {
		return nil
	}
	if p.Conversion.Event == "" {
		return &pushsvc.FieldError{Field: "conversion.event", Problem: `is missing: it names the event that counts, such as "Charged"`}
	}
	if err := eventName("conversion.event", p.Conversion.Event); err != nil {
		return err
	}
	if _, err := p.Conversion.Window(); err != nil {
		return &pushsvc.FieldError{Field: "conversion.within", Problem: fmt.Sprintf(`is not a time of up to %d days, such as "24h" or "7d"`, MaxConversion/(24*time.Hour))}
	}
	return nil
}

// Window reads Within.
func (c *Conversion) Window() (time.Duration, error) {
	within := c.Within
	days, found := strings.CutSuffix(within, "d")
	unit := time.Duration(1)
	if found {
		within, unit = days+"h", 24
	}
	d, err := time.ParseDuration(within)
	if err != nil || d <= 0 || d > MaxConversion/unit {
		return 0, fmt.Errorf("%q is not a time between 0 and %v", c.Within, MaxConversion)
	}
	return d * unit, nil
}

// Validate returns a *FieldError for the first wrong setting.
func (s *Settings) Validate() error {
	if err := within("popupsPerSession", s.PerSession, 0, MaxCap); err != nil {
		return err
	}
	if err := within("popupsPerDay", s.PerDay, 0, MaxCap); err != nil {
		return err
	}
	return within("holdout", s.Holdout, 0, maxControl)
}
