package popup

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Variant returns the content, the click and the theme of a variant; those of the pop-up itself if it has no
// variant of that id.
//
// A variant has only what is different; the rest is the pop-up's:
//
//   - Texts, numbers and colours replace the pop-up's one by one, lists as a whole, kv name by name.
//   - Click and input replace the pop-up's as a whole if they have "do" or "kind", else member by member.
//   - An image comes with its own size, or none.
//   - What [Variant.Without] names is not taken from the pop-up.
func (p *Popup) Variant(id string) (Content, Action, Theme) {
	i := slices.IndexFunc(p.Variants, func(v Variant) bool { return v.ID == id })
	if i < 0 {
		return p.Content, p.Click, p.Theme
	}
	v := &p.Variants[i]
	base := variantParts{p.Content, p.Click, p.Theme}
	for _, path := range v.Without {
		base.drop(path)
	}
	return v.Content.over(base.Content), v.Click.over(base.Click), v.Theme.over(base.Theme)
}

// variantParts are the parts of a pop-up that a variant can change.
type variantParts struct {
	Content Content `json:"content"`
	Click   Action  `json:"click"`
	Theme   Theme   `json:"theme"`
}

// partNames are the names that [Variant.Without] accepts: "content", "click", "theme", and the members of
// content and theme, such as "content.body".
var partNames = func() (names []string) {
	parts := reflect.TypeFor[variantParts]()
	for i := range parts.NumField() {
		part := parts.Field(i)
		names = append(names, memberName(part))
		if part.Name == "Click" {
			continue
		}
		for j := range part.Type.NumField() {
			names = append(names, memberName(part)+"."+memberName(part.Type.Field(j)))
		}
	}
	return names
}()

func memberName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// drop empties the part of a name in partNames.
func (p *variantParts) drop(path string) {
	at := reflect.ValueOf(p).Elem()
	for name := range strings.SplitSeq(path, ".") {
		i := slices.IndexFunc(reflect.VisibleFields(at.Type()), func(f reflect.StructField) bool { return memberName(f) == name })
		if i < 0 {
			return
		}
		at = at.Field(i)
		if at.Kind() != reflect.Struct {
			break
		}
	}
	at.SetZero()
}

// checkWithout checks the names of parts to drop.
func checkWithout(at string, without []string) error {
	for i, path := range without {
		if slices.Contains(partNames, path) {
			continue
		}
		problem := `is not a part that a variant can drop: write it like "content.body", "theme.color", "content", "theme" or "click"`
		if slices.Contains(partNames, "content."+path) {
			problem = fmt.Sprintf("needs the name of its object: %q", "content."+path)
		} else if near := pushsvc.Nearest(path, partNames); near != "" {
			problem += pushsvc.DidYouMean("; ", near)
		}
		return &pushsvc.FieldError{Field: fmt.Sprintf("%swithout[%d]", at, i), Problem: problem}
	}
	return nil
}

func (v *Content) over(base Content) Content {
	if v == nil {
		return base
	}
	c := Content{
		Title: cmp.Or(v.Title, base.Title), Body: cmp.Or(v.Body, base.Body),
		Image: cmp.Or(v.Image, base.Image), ImageAlt: cmp.Or(v.ImageAlt, base.ImageAlt),
		ImageWidth: v.ImageWidth, ImageHeight: v.ImageHeight,
		Buttons: base.Buttons, Input: v.Input.over(base.Input),
		HTML: cmp.Or(v.HTML, base.HTML), Trusted: v.Trusted || base.Trusted, KV: base.KV,
	}
	if v.Image == "" {
		c.ImageWidth, c.ImageHeight = cmp.Or(v.ImageWidth, base.ImageWidth), cmp.Or(v.ImageHeight, base.ImageHeight)
	}
	if len(v.Buttons) > 0 {
		c.Buttons = v.Buttons
	}
	if len(v.KV) > 0 {
		c.KV = maps.Clone(base.KV)
		if c.KV == nil {
			c.KV = map[string]string{}
		}
		maps.Copy(c.KV, v.KV)
	}
	return c
}

func (v *Input) over(base *Input) *Input {
	switch {
	case v == nil:
		return base
	case base == nil || v.Kind != "":
		return v
	}
	in := Input{
		Kind: base.Kind, Label: cmp.Or(v.Label, base.Label), Options: base.Options,
		Event: cmp.Or(v.Event, base.Event), Submit: cmp.Or(v.Submit, base.Submit),
	}
	if len(v.Options) > 0 {
		in.Options = v.Options
	}
	return &in
}

func (v *Action) over(base Action) Action {
	switch {
	case v == nil:
		return base
	case v.Do != "":
		return *v
	}
	return Action{
		Do: base.Do, URL: cmp.Or(v.URL, base.URL), NewTab: v.NewTab || base.NewTab,
		Function: cmp.Or(v.Function, base.Function), Text: cmp.Or(v.Text, base.Text), Close: v.Close || base.Close,
	}
}

func (v *Theme) over(base Theme) Theme {
	if v == nil {
		return base
	}
	return Theme{
		Mode: cmp.Or(v.Mode, base.Mode), Color: cmp.Or(v.Color, base.Color), TextColor: cmp.Or(v.TextColor, base.TextColor),
		Background: cmp.Or(v.Background, base.Background), Foreground: cmp.Or(v.Foreground, base.Foreground),
		Radius: cmp.Or(v.Radius, base.Radius), Width: cmp.Or(v.Width, base.Width), Overlay: cmp.Or(v.Overlay, base.Overlay),
	}
}

// WholeVariants returns the variants with all that each shows, for programs that show a variant's content
// alone, without merging.
func (p *Popup) WholeVariants() []Variant {
	whole := make([]Variant, 0, len(p.Variants))
	for _, v := range p.Variants {
		content, click, theme := p.Variant(v.ID)
		whole = append(whole, Variant{ID: v.ID, Weight: v.Weight, Content: &content, Click: &click, Theme: &theme})
	}
	return whole
}

// FromWhole reads variants that such programs wrote: what they have replaces all of the pop-up's own.
func FromWhole(whole []Variant) []Variant {
	variants := slices.Clone(whole)
	for i := range variants {
		v := &variants[i]
		v.Without = nil
		if v.Content != nil {
			v.Without = append(v.Without, "content")
		}
		if v.Click != nil {
			v.Without = append(v.Without, "click")
		}
		if v.Theme != nil {
			v.Without = append(v.Without, "theme")
		}
	}
	return variants
}
