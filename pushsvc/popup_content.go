package pushsvc

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

func (c *PopupContent) validate(at string, kind PopupKind) error {
	for _, f := range []struct {
		name, value string
		most        int
	}{
		{"title", c.Title, MaxPopupTitle}, {"body", c.Body, MaxPopupBody}, {"imageAlt", c.ImageAlt, MaxPopupTitle}, {"html", c.HTML, MaxPopupHTML},
	} {
		if err := text(at+f.name, f.value, f.most); err != nil {
			return err
		}
	}
	if err := checkTemplateURL(at+"image", c.Image); err != nil {
		return err
	}
	if err := c.validateKind(at, kind); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		n    int
	}{{"imageWidth", c.ImageWidth}, {"imageHeight", c.ImageHeight}} {
		if err := within(at+f.name, f.n, 0, 10_000); err != nil {
			return err
		}
	}
	if err := c.validateButtons(at); err != nil {
		return err
	}
	if err := c.Input.validate(at + "input."); err != nil {
		return err
	}
	if len(c.KV) > MaxPopupKV {
		return &FieldError{at + "kv", fmt.Sprintf("has more than %d members", MaxPopupKV)}
	}
	for k, v := range c.KV {
		if k == "" || len(k) > 64 {
			return &FieldError{at + "kv", "has a name that is empty or longer than 64 bytes"}
		}
		for _, s := range []string{k, v} {
			if err := text(at+"kv", s, maxPopupValue); err != nil {
				return err
			}
		}
	}
	return nil
}

// validateKind wants what the kind can't be without, and nothing that it would
// not show.
func (c *PopupContent) validateKind(at string, kind PopupKind) error {
	switch {
	case kind == PopupHTML && strings.TrimSpace(c.HTML) == "":
		return &FieldError{at + "html", "is missing: the kind html has its HTML there"}
	case kind != PopupHTML && kind != PopupCustom && c.HTML != "":
		return &FieldError{at + "html", `is for the kind "html" alone`}
	case kind != PopupHTML && c.Trusted:
		return &FieldError{at + "trusted", `is for the kind "html" alone`}
	case kind == PopupImage && c.Image == "":
		return &FieldError{at + "image", "is missing: the kind image is nothing without"}
	case kind == PopupImage && c.ImageAlt == "":
		return &FieldError{at + "imageAlt", "is missing: who can't see the image needs its text"}
	case kind != PopupHTML && kind != PopupImage && kind != PopupCustom && strings.TrimSpace(c.Title+c.Body) == "":
		return &FieldError{at + "title", "is missing, and so is body: there is nothing to read"}
	}
	if c.Trusted {
		return checkTrusted(at+"html", c.HTML)
	}
	return nil
}

func (c *PopupContent) validateButtons(at string) error {
	if len(c.Buttons) > MaxPopupButtons {
		return &FieldError{at + "buttons", fmt.Sprintf("has more than %d entries", MaxPopupButtons)}
	}
	seen := map[string]bool{}
	for i, b := range c.Buttons {
		at := fmt.Sprintf("%sbuttons[%d].", at, i)
		switch {
		case !popupID.MatchString(b.ID):
			return checkPopupID(at+"id", b.ID)
		case seen[b.ID]:
			return &FieldError{at + "id", "is used by an earlier button"}
		case strings.TrimSpace(b.Text) == "":
			return &FieldError{at + "text", "is missing"}
		}
		seen[b.ID] = true
		if err := text(at+"text", b.Text, maxPopupText); err != nil {
			return err
		}
		if err := b.Action.validate(at+"action.", c); err != nil {
			return err
		}
	}
	return nil
}

func (in *PopupInput) validate(at string) error {
	if in == nil {
		return nil
	}
	if err := oneOf(at+"kind", in.Kind, "email", "choice", "text"); err != nil {
		return err
	}
	switch {
	case strings.TrimSpace(in.Label) == "":
		return &FieldError{at + "label", "is missing: it is the question"}
	case strings.TrimSpace(in.Event) == "":
		return &FieldError{at + "event", `is missing: it names the event that an answer is, such as "Survey Answered"`}
	case in.Kind == "choice" && len(in.Options) < 2:
		return &FieldError{at + "options", "has fewer than two entries: a choice needs some"}
	case in.Kind != "choice" && len(in.Options) > 0:
		return &FieldError{at + "options", `is for the kind "choice" alone`}
	case len(in.Options) > MaxPopupOptions:
		return &FieldError{at + "options", fmt.Sprintf("has more than %d entries", MaxPopupOptions)}
	}
	for i, o := range in.Options {
		if strings.TrimSpace(o) == "" {
			return &FieldError{fmt.Sprintf("%soptions[%d]", at, i), "is empty"}
		}
		if slices.Contains(in.Options[:i], o) {
			return &FieldError{fmt.Sprintf("%soptions[%d]", at, i), "is the same as an earlier one"}
		}
		if err := text(fmt.Sprintf("%soptions[%d]", at, i), o, maxPopupText); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name, value string
		most        int
	}{{"label", in.Label, maxPopupText}, {"submit", in.Submit, maxPopupText}} {
		if err := text(at+f.name, f.value, f.most); err != nil {
			return err
		}
	}
	return eventName(at+"event", in.Event)
}

// eventName takes names that an event can have: others would never happen.
func eventName(field, name string) error {
	if err := text(field, name, MaxEventName); err != nil {
		return err
	}
	switch clean, ok := CleanEventName(name); {
	case clean != name:
		return &FieldError{field, "begins or ends with a space, which names of events don't"}
	case !ok:
		return &FieldError{field, fmt.Sprintf("is %q, which is reserved: pages can't record it", name)}
	}
	return nil
}

// functionPath is a function of the page: own properties, a few dots deep.
var functionPath = regexp.MustCompile(`^[A-Za-z_$][\w$]{0,63}(\.[A-Za-z_$][\w$]{0,63}){0,4}$`)

// notCallable are names that would turn key–value pairs into code, or lead out
// of the page's own objects.
var notCallable = []string{"eval", "Function", "constructor", "prototype", "__proto__", "setTimeout", "setInterval", "execScript"}

func (a *PopupAction) validate(at string, c *PopupContent) error {
	if err := oneOf(at+"do", a.Do, "", "none", "open", "close", "call", "subscribe", "copy", "submit"); err != nil {
		return err
	}
	for _, f := range []struct{ name, value, do string }{{"url", a.URL, "open"}, {"function", a.Function, "call"}, {"text", a.Text, "copy"}} {
		switch {
		case a.Do == f.do && f.value == "":
			return &FieldError{at + f.name, fmt.Sprintf("is missing: %q needs it", f.do)}
		case a.Do != f.do && f.value != "":
			return &FieldError{at + f.name, fmt.Sprintf(`goes with "do": %q alone`, f.do)}
		}
	}
	if a.NewTab && a.Do != "open" {
		return &FieldError{at + "newTab", `goes with "do": "open" alone`}
	}
	if a.Do == "submit" && c.Input == nil {
		return &FieldError{at + "do", `is "submit", but there is no input to submit`}
	}
	if err := text(at+"text", a.Text, maxPopupText); err != nil {
		return err
	}
	if a.Function != "" {
		names := strings.Split(a.Function, ".")
		if !functionPath.MatchString(a.Function) || slices.ContainsFunc(names, func(n string) bool { return slices.Contains(notCallable, n) }) {
			return &FieldError{at + "function", `is no function of the page such as "openChat" or "shop.addToCart"`}
		}
	}
	return checkTemplateURL(at+"url", a.URL)
}

// colorText is what a colour may be made of; it ends up in a style sheet.
var colorText = regexp.MustCompile(`^(#[0-9A-Fa-f]{3,8}|[A-Za-z]{3,30}|(rgb|hsl)a?\([0-9a-z.,%/ ]{1,60}\))$`)

func (t *PopupTheme) validate(at string) error {
	if err := oneOf(at+"mode", t.Mode, "", "auto", "dark", "light"); err != nil {
		return err
	}
	for _, f := range []struct{ name, value string }{
		{"color", t.Color}, {"textColor", t.TextColor}, {"background", t.Background}, {"foreground", t.Foreground},
	} {
		if f.value != "" && !colorText.MatchString(f.value) {
			return &FieldError{at + f.name, `is no colour such as "#0b6bcb", "teal" or "rgb(11 107 203)"`}
		}
	}
	if t.Radius != nil {
		if err := within(at+"radius", *t.Radius, 0, 100); err != nil {
			return err
		}
	}
	if t.Overlay != nil && !(*t.Overlay >= 0 && *t.Overlay <= 1) {
		return &FieldError{at + "overlay", "is not between 0 and 1"}
	}
	return within(at+"width", t.Width, 0, 2000)
}

func (w *PopupWhere) validate() error {
	for _, f := range []struct {
		name     string
		patterns []string
	}{
		{"where.paths.in", w.Paths.In},
		{"where.paths.out", w.Paths.Out},
		{"where.referrer", w.Referrer},
		{"where.devices", w.Devices},
		{"where.languages", w.Languages},
	} {
		if len(f.patterns) > maxPlaces {
			return &FieldError{f.name, fmt.Sprintf("has more than %d entries", maxPlaces)}
		}
		for i, p := range f.patterns {
			if err := checkPlace(f.name, fmt.Sprintf("%s[%d]", f.name, i), p); err != nil {
				return err
			}
		}
	}
	if len(w.Query) > maxPlaces {
		return &FieldError{"where.query", fmt.Sprintf("has more than %d members", maxPlaces)}
	}
	for k, v := range w.Query {
		if k == "" {
			return &FieldError{"where.query", "has an empty name"}
		}
		if err := text("where.query", k+v, maxPattern); err != nil {
			return err
		}
	}
	for _, f := range []struct{ name, value string }{{"source", w.UTM.Source}, {"medium", w.UTM.Medium}, {"campaign", w.UTM.Campaign}} {
		if err := text("where.utm."+f.name, f.value, maxPattern); err != nil {
			return err
		}
	}
	return oneOf("where.visitors", w.Visitors, "", "new", "returning")
}

// checkPlace checks one entry of a list of where.
func checkPlace(list, field, p string) error {
	if err := text(field, p, maxPattern); err != nil {
		return err
	}
	switch list {
	case "where.paths.in", "where.paths.out":
		if !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "*") {
			return &FieldError{field, `is no path: write it like "/products/*"`}
		}
		if i := strings.IndexAny(p, "?#"); i >= 0 {
			return &FieldError{field, fmt.Sprintf("has a %q, which no path has: parameters are in where.query", p[i])}
		}
	case "where.referrer":
		if strings.Contains(p, "/") || strings.Contains(p, ":") {
			return &FieldError{field, `is no host: write it like "www.google.com" or "*.google.*", and "" for no referrer`}
		}
	case "where.devices":
		return oneOf(field, p, "desktop", "phone", "tablet")
	case "where.languages":
		if p == "" || !isLanguage(p) {
			return &FieldError{field, `is not a BCP 47 language tag such as "en" or "pt-BR"`}
		}
	}
	return nil
}

// output is a place of a template that gives text.
var output = regexp.MustCompile(`(?s)\{\{.*?\}\}`)

// checkTemplateURL is checkURL for what may be a template: its scheme and host
// must be written out, so that nobody's profile decides where a click leads.
func checkTemplateURL(field, s string) error {
	if !strings.Contains(s, "{") {
		return checkURL(field, s)
	}
	const mark = "webpush-template-value"
	if strings.Contains(s, "{%") {
		return &FieldError{field, "has a Liquid tag: an address takes {{ values }} alone"}
	}
	plain := output.ReplaceAllString(s, mark)
	if err := checkURL(field, plain); err != nil {
		return err
	}
	if u, err := url.Parse(plain); err != nil || strings.Contains(u.Host, mark) || strings.HasPrefix(plain, "/"+mark) {
		return &FieldError{field, `has a template too early: write out the host, or the path's beginning as in "/products/{{ profile.Sku }}"`}
	}
	return nil
}

// CheckURL is for what a template gave: nothing, a path on the site, or an
// absolute http(s) URL.
func CheckURL(field, s string) error { return checkURL(field, s) }
