package popup

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

func (c *Content) validate(at string, kind Kind) error {
	for _, f := range []struct {
		name, value string
		most        int
	}{
		{"title", c.Title, MaxTitle}, {"body", c.Body, MaxBody}, {"imageAlt", c.ImageAlt, MaxTitle}, {"html", c.HTML, MaxHTML},
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
	if len(c.KV) > MaxKV {
		return &pushsvc.FieldError{Field: at + "kv", Problem: fmt.Sprintf("has more than %d members", MaxKV)}
	}
	for k, v := range c.KV {
		if k == "" || len(k) > 64 {
			return &pushsvc.FieldError{Field: at + "kv", Problem: "has a name that is empty or longer than 64 bytes"}
		}
		for _, s := range []string{k, v} {
			if err := text(at+"kv", s, maxPopupValue); err != nil {
				return err
			}
		}
	}
	return nil
}

// validateKind checks that the content has what the kind needs, and nothing that it would not show.
func (c *Content) validateKind(at string, kind Kind) error {
	switch {
	case kind == HTML && strings.TrimSpace(c.HTML) == "":
		return &pushsvc.FieldError{Field: at + "html", Problem: "is missing: the kind html has its HTML there"}
	case kind != HTML && kind != Custom && c.HTML != "":
		return &pushsvc.FieldError{Field: at + "html", Problem: `is only for the kind "html"`}
	case kind != HTML && c.Trusted:
		return &pushsvc.FieldError{Field: at + "trusted", Problem: `is only for the kind "html"`}
	case kind == Image && c.Image == "":
		return &pushsvc.FieldError{Field: at + "image", Problem: "is missing: the kind image needs one"}
	case kind == Image && c.ImageAlt == "":
		return &pushsvc.FieldError{Field: at + "imageAlt", Problem: "is missing: people who can't see the image need its text"}
	case kind != HTML && kind != Image && kind != Custom && strings.TrimSpace(c.Title+c.Body) == "":
		return &pushsvc.FieldError{Field: at + "title", Problem: "is missing, and so is body: there is nothing to read"}
	}
	if c.Trusted {
		return checkTrusted(at+"html", c.HTML)
	}
	return nil
}

func (c *Content) validateButtons(at string) error {
	if len(c.Buttons) > MaxButtons {
		return &pushsvc.FieldError{Field: at + "buttons", Problem: fmt.Sprintf("has more than %d entries", MaxButtons)}
	}
	seen := map[string]bool{}
	for i, b := range c.Buttons {
		at := fmt.Sprintf("%sbuttons[%d].", at, i)
		switch {
		case !popupID.MatchString(b.ID):
			return checkID(at+"id", b.ID)
		case seen[b.ID]:
			return &pushsvc.FieldError{Field: at + "id", Problem: "is used by an earlier button"}
		case strings.TrimSpace(b.Text) == "":
			return &pushsvc.FieldError{Field: at + "text", Problem: "is missing"}
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

func (in *Input) validate(at string) error {
	if in == nil {
		return nil
	}
	if err := oneOf(at+"kind", in.Kind, "email", "choice", "text"); err != nil {
		return err
	}
	switch {
	case strings.TrimSpace(in.Label) == "":
		return &pushsvc.FieldError{Field: at + "label", Problem: "is missing: it is the question"}
	case strings.TrimSpace(in.Event) == "":
		return &pushsvc.FieldError{Field: at + "event", Problem: `is missing: it names the event that an answer records, such as "Survey Answered"`}
	case in.Kind == "choice" && len(in.Options) < 2:
		return &pushsvc.FieldError{Field: at + "options", Problem: "has fewer than two entries"}
	case in.Kind != "choice" && len(in.Options) > 0:
		return &pushsvc.FieldError{Field: at + "options", Problem: `is only for the kind "choice"`}
	case len(in.Options) > MaxOptions:
		return &pushsvc.FieldError{Field: at + "options", Problem: fmt.Sprintf("has more than %d entries", MaxOptions)}
	}
	for i, o := range in.Options {
		if strings.TrimSpace(o) == "" {
			return &pushsvc.FieldError{Field: fmt.Sprintf("%soptions[%d]", at, i), Problem: "is empty"}
		}
		if slices.Contains(in.Options[:i], o) {
			return &pushsvc.FieldError{Field: fmt.Sprintf("%soptions[%d]", at, i), Problem: "is the same as an earlier option"}
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

// eventName checks that a name can be an event's: no other would ever happen.
func eventName(field, name string) error {
	if err := text(field, name, people.MaxEventName); err != nil {
		return err
	}
	switch clean, ok := people.CleanEventName(name); {
	case clean != name:
		return &pushsvc.FieldError{Field: field, Problem: "begins or ends with a space: event names can't"}
	case !ok:
		return &pushsvc.FieldError{Field: field, Problem: fmt.Sprintf("is %q, which is reserved: pages can't record it", name)}
	}
	return nil
}

// functionPath matches a function of the page: own properties, a few dots deep.
var functionPath = regexp.MustCompile(`^[A-Za-z_$][\w$]{0,63}(\.[A-Za-z_$][\w$]{0,63}){0,4}$`)

// notCallable are names that would run key–value pairs as code, or lead out of the page's own objects.
var notCallable = []string{"eval", "Function", "constructor", "prototype", "__proto__", "setTimeout", "setInterval", "execScript"}

func (a *Action) validate(at string, c *Content) error {
	if err := oneOf(at+"do", a.Do, "", "none", "open", "close", "call", "subscribe", "copy", "submit"); err != nil {
		return err
	}
	for _, f := range []struct{ name, value, do string }{{"url", a.URL, "open"}, {"function", a.Function, "call"}, {"text", a.Text, "copy"}} {
		switch {
		case a.Do == f.do && f.value == "":
			return &pushsvc.FieldError{Field: at + f.name, Problem: fmt.Sprintf("is missing: %q needs it", f.do)}
		case a.Do != f.do && f.value != "":
			return &pushsvc.FieldError{Field: at + f.name, Problem: fmt.Sprintf(`is only for "do": %q`, f.do)}
		}
	}
	if a.NewTab && a.Do != "open" {
		return &pushsvc.FieldError{Field: at + "newTab", Problem: `is only for "do": "open"`}
	}
	if a.Do == "submit" && c.Input == nil {
		return &pushsvc.FieldError{Field: at + "do", Problem: `is "submit", but there is no input to submit`}
	}
	if err := text(at+"text", a.Text, maxPopupText); err != nil {
		return err
	}
	if a.Function != "" {
		names := strings.Split(a.Function, ".")
		if !functionPath.MatchString(a.Function) || slices.ContainsFunc(names, func(n string) bool { return slices.Contains(notCallable, n) }) {
			return &pushsvc.FieldError{Field: at + "function", Problem: `is not a function of the page, such as "openChat" or "shop.addToCart"`}
		}
	}
	return checkTemplateURL(at+"url", a.URL)
}

// colorText matches a colour; it goes into a style sheet.
var colorText = regexp.MustCompile(`^(#[0-9A-Fa-f]{3,8}|[A-Za-z]{3,30}|(rgb|hsl)a?\([0-9a-z.,%/ ]{1,60}\))$`)

func (t *Theme) validate(at string) error {
	if err := oneOf(at+"mode", t.Mode, "", "auto", "dark", "light"); err != nil {
		return err
	}
	for _, f := range []struct{ name, value string }{
		{"color", t.Color}, {"textColor", t.TextColor}, {"background", t.Background}, {"foreground", t.Foreground},
	} {
		if f.value != "" && !colorText.MatchString(f.value) {
			return &pushsvc.FieldError{Field: at + f.name, Problem: `is not a colour, such as "#0b6bcb", "teal" or "rgb(11 107 203)"`}
		}
	}
	if t.Radius != nil {
		if err := within(at+"radius", *t.Radius, 0, 100); err != nil {
			return err
		}
	}
	if t.Overlay != nil && !(*t.Overlay >= 0 && *t.Overlay <= 1) {
		return &pushsvc.FieldError{Field: at + "overlay", Problem: "is not between 0 and 1"}
	}
	return within(at+"width", t.Width, 0, 2000)
}

func (w *Where) validate() error {
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
			return &pushsvc.FieldError{Field: f.name, Problem: fmt.Sprintf("has more than %d entries", maxPlaces)}
		}
		for i, p := range f.patterns {
			if err := checkPlace(f.name, fmt.Sprintf("%s[%d]", f.name, i), p); err != nil {
				return err
			}
		}
	}
	if len(w.Query) > maxPlaces {
		return &pushsvc.FieldError{Field: "where.query", Problem: fmt.Sprintf("has more than %d members", maxPlaces)}
	}
	for k, v := range w.Query {
		if k == "" {
			return &pushsvc.FieldError{Field: "where.query", Problem: "has an empty name"}
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
			return &pushsvc.FieldError{Field: field, Problem: `is not a path: write it like "/products/*"`}
		}
		if i := strings.IndexAny(p, "?#"); i >= 0 {
			return &pushsvc.FieldError{Field: field, Problem: fmt.Sprintf("has a %q, which is not part of a path: put parameters into where.query", p[i])}
		}
	case "where.referrer":
		if strings.Contains(p, "/") || strings.Contains(p, ":") {
			return &pushsvc.FieldError{Field: field, Problem: `is not a host: write it like "www.google.com" or "*.google.*", and "" for no referrer`}
		}
	case "where.devices":
		return oneOf(field, p, "desktop", "phone", "tablet")
	case "where.languages":
		if p == "" || !pushsvc.IsLanguage(p) {
			return &pushsvc.FieldError{Field: field, Problem: `is not a BCP 47 language tag such as "en" or "pt-BR"`}
		}
	}
	return nil
}

// output matches a place of a template that outputs text.
var output = regexp.MustCompile(`(?s)\{\{.*?\}\}`)

// checkTemplateURL is CheckURL for a URL that may be a template. Its scheme and host must be literal, so that
// no profile decides where a click leads.
func checkTemplateURL(field, s string) error {
	if !strings.Contains(s, "{") {
		return pushsvc.CheckURL(field, s)
	}
	const mark = "webpush-template-value"
	if strings.Contains(s, "{%") {
		return &pushsvc.FieldError{Field: field, Problem: "has a Liquid tag: an address can only have {{ values }}"}
	}
	plain := output.ReplaceAllString(s, mark)
	if err := pushsvc.CheckURL(field, plain); err != nil {
		return err
	}
	if u, err := url.Parse(plain); err != nil || strings.Contains(u.Host, mark) || strings.HasPrefix(plain, "/"+mark) {
		return &pushsvc.FieldError{Field: field, Problem: `has a template too early: write the host, or the beginning of the path, as in "/products/{{ profile.Sku }}"`}
	}
	return nil
}

// CheckURL checks the output of a template: empty, a path on the site, or an absolute http(s) URL.
func CheckURL(field, s string) error { return pushsvc.CheckURL(field, s) }
