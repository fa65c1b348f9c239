package personal

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// Popup is a pop-up whose templates are compiled. It is safe for concurrent use.
type Popup struct {
	popup *popup.Popup
	texts map[string]*Text // by source
}

// Message is what one visitor sees.
type Message struct {
	Content popup.Content
	Click   popup.Action
	Theme   popup.Theme
}

// CompilePopup compiles all texts of a pop-up and its variants. Faults are
// *pushsvc.FieldError.
func CompilePopup(p *popup.Popup) (*Popup, error) {
	c := &Popup{popup: p, texts: map[string]*Text{}}
	check := func(at string, content *popup.Content, click *popup.Action) error {
		return visit(at, content, click, func(field string, s *string, _ use) error {
			if c.texts[*s] != nil || !strings.Contains(*s, "{") {
				return nil
			}
			t, err := Compile(*s)
			if err != nil {
				return &pushsvc.FieldError{Field: field, Problem: err.Error()}
			}
			c.texts[*s] = t
			return nil
		})
	}
	content := clone(p.Content)
	click := p.Click
	if err := check("", &content, &click); err != nil {
		return nil, err
	}
	for i, v := range p.Variants {
		content, click, _ := p.Variant(v.ID)
		content = clone(content)
		if err := check(fmt.Sprintf("variants[%d].", i), &content, &click); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Attributes returns the attributes that the pop-up's texts name, of all variants.
func (c *Popup) Attributes() (found []string) {
	for source := range c.texts {
		found = append(found, Attributes(source)...)
	}
	return found
}

// Render fills in one variant. values are made by Plain; escaped are made by Escaped, for HTML. A filled-in
// address that is not valid is an error: the pop-up can't be shown to this visitor.
func (c *Popup) Render(variant string, values, escaped Values) (Message, error) {
	content, click, theme := c.popup.Variant(variant)
	m := Message{clone(content), click, theme}
	err := visit("", &m.Content, &m.Click, func(field string, s *string, u use) error {
		t := c.texts[*s]
		if t == nil {
			return nil
		}
		with := values
		if u == markup {
			with = escaped
		}
		out, err := t.Render(with)
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		*s = out
		if u == address {
			*s = strings.ReplaceAll(strings.TrimSpace(out), " ", "%20")
			if hasDotSegment(*s) {
				return fmt.Errorf("%s leads out of its folder, once it is filled in", field)
			}
			return popup.CheckURL(field, *s)
		}
		return nil
	})
	return m, err
}

// hasDotSegment reports whether a path has dot segments (RFC 3986 3.3), which browsers resolve: a visitor who
// controls their profile could point a click anywhere on the site.
func hasDotSegment(address string) bool {
	path, _, _ := strings.Cut(address, "#")
	path, _, _ = strings.Cut(path, "?")
	for part := range strings.SplitSeq(strings.ToLower(path), "/") {
		if part = strings.ReplaceAll(part, "%2e", "."); part == "." || part == ".." {
			return true
		}
	}
	return false
}

// use is how a text is used.
type use int

const (
	words use = iota
	address
	markup
)

// visit calls fn with every text that may be a template.
func visit(at string, c *popup.Content, click *popup.Action, fn func(field string, s *string, u use) error) error {
	type text struct {
		field string
		s     *string
		u     use
	}
	texts := []text{
		{"content.title", &c.Title, words},
		{"content.body", &c.Body, words},
		{"content.image", &c.Image, address},
		{"content.imageAlt", &c.ImageAlt, words},
		{"content.html", &c.HTML, markup},
		{"click.url", &click.URL, address},
		{"click.text", &click.Text, words},
	}
	for i := range c.Buttons {
		b, name := &c.Buttons[i], fmt.Sprintf("content.buttons[%d].", i)
		texts = append(texts, text{name + "text", &b.Text, words}, text{name + "action.url", &b.Action.URL, address}, text{name + "action.text", &b.Action.Text, words})
	}
	if c.Input != nil {
		texts = append(texts, text{"content.input.label", &c.Input.Label, words}, text{"content.input.submit", &c.Input.Submit, words})
		for i := range c.Input.Options {
			texts = append(texts, text{fmt.Sprintf("content.input.options[%d]", i), &c.Input.Options[i], words})
		}
	}
	for _, t := range texts {
		if err := fn(at+t.field, t.s, t.u); err != nil {
			return err
		}
	}
	for _, k := range slices.Sorted(maps.Keys(c.KV)) {
		v := c.KV[k]
		if err := fn(at+"content.kv."+k, &v, words); err != nil {
			return err
		}
		c.KV[k] = v
	}
	return nil
}

// clone copies what visit may change.
func clone(c popup.Content) popup.Content {
	c.Buttons, c.KV = slices.Clone(c.Buttons), maps.Clone(c.KV)
	if c.Input != nil {
		in := *c.Input
		in.Options = slices.Clone(in.Options)
		c.Input = &in
	}
	return c
}
