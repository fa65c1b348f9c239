package popup_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// TestPopupVariant: a variant has its own members, and the pop-up's for the rest.
func TestPopupVariant(t *testing.T) {
	const base = `"content":{"title":"T","body":"B","image":"/a.png","imageAlt":"A","imageWidth":6,"imageHeight":4,
		"buttons":[{"id":"pay","text":"Pay"}],"input":{"kind":"choice","label":"L","options":["x","y"],"event":"E"},"kv":{"a":"1","b":"2"}},
		"click":{"do":"open","url":"/x"},"theme":{"color":"red","radius":0,"width":480}`
	for variant, want := range map[string]string{
		``:                                                                   `{}`,
		`"content":{"title":"V"}`:                                            `{"content":{"title":"V"}}`,
		`"content":{"image":"/b.png"}`:                                       `{"content":{"image":"/b.png","imageWidth":null,"imageHeight":null}}`,
		`"content":{"imageWidth":9}`:                                         `{"content":{"imageWidth":9}}`,
		`"content":{"kv":{"b":"3","c":"4"}}`:                                 `{"content":{"kv":{"b":"3","c":"4"}}}`,
		`"content":{"input":{"label":"M"}}`:                                  `{"content":{"input":{"label":"M"}}}`,
		`"click":{"url":"/y","newTab":true}`:                                 `{"click":{"url":"/y","newTab":true}}`,
		`"click":{"do":"close"}`:                                             `{"click":{"do":"close","url":null}}`,
		`"theme":{"color":"blue","radius":4}`:                                `{"theme":{"color":"blue","radius":4}}`,
		`"without":["content.body","theme"]`:                                 `{"content":{"body":null},"theme":null}`,
		`"without":["click","content.input"]`:                                `{"content":{"input":null},"click":null}`,
		`"theme":{"color":"blue"},"without":["theme"]`:                       `{"theme":{"color":"blue","radius":null,"width":null}}`,
		`"content":{"buttons":[{"id":"later","text":"Later"}]}`:              `{"content":{"buttons":[{"id":"later","text":"Later"}]}}`,
		`"content":{"input":{"kind":"email","label":"M","event":"F"}}`:       `{"content":{"input":{"kind":"email","label":"M","options":null,"event":"F"}}}`,
		`"content":{"title":"V"},"without":["content.buttons","content.kv"]`: `{"content":{"title":"V","buttons":null,"kv":null}}`,
		`"content":{"title":"V"},"click":{},"theme":{},"without":["content","click"]`: `{"content":null,"click":null}{"content":{"title":"V"}}`,
	} {
		p := decodePopup(t, `{"id":"p","state":"draft","kind":"box",`+base+`,"variants":[{"id":"v","weight":1`+strings.TrimSuffix(","+variant, ",")+`}]}`)
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", variant, err)
		}
		got := parts(p.Variant("v"))
		all := patched(t, "{"+base+"}", want)
		if !reflect.DeepEqual(got, all) {
			t.Errorf("%s: got\n%v, want\n%v", variant, got, all)
		}
		// Older programs show the same, also after they have written it back.
		p.Variants = popup.FromWhole(p.WholeVariants())
		if again := parts(p.Variant("v")); !reflect.DeepEqual(again, got) {
			t.Errorf("%s: as a whole it is\n%v", variant, again)
		}
	}
	p := decodePopup(t, `{"id":"p","state":"draft","kind":"box",`+base+`}`)
	if got := parts(p.Variant("v")); !reflect.DeepEqual(got, patched(t, "{"+base+"}", "{}")) {
		t.Errorf("a variant that is not there: %v", got)
	}
}

// parts returns a variant as JSON has it.
func parts(content popup.Content, click popup.Action, theme popup.Theme) map[string]any {
	text, err := json.Marshal(map[string]any{"content": content, "click": click, "theme": theme})
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out
}

// patched applies JSON merge patches (RFC 7396) to a document.
func patched(t *testing.T, base, patches string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(base), &out); err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(patches)); dec.More(); {
		var patch map[string]any
		if err := dec.Decode(&patch); err != nil {
			t.Fatal(err)
		}
		merge(out, patch)
	}
	for _, part := range []string{"content", "click", "theme"} {
		if out[part] == nil {
			out[part] = map[string]any{}
		}
	}
	return out
}

func merge(base, patch map[string]any) {
	for name, v := range patch {
		inner, isObject := v.(map[string]any)
		old, wasObject := base[name].(map[string]any)
		switch {
		case v == nil:
			delete(base, name)
		case isObject && wasObject:
			merge(old, inner)
		default:
			base[name] = v
		}
	}
}

// TestPopupVariantMembers: each member of content, click and theme is kept if a variant lacks it, and
// replaced if it has it. Members added later are covered.
func TestPopupVariantMembers(t *testing.T) {
	base, other := filled("base"), filled("other")
	base.Variants = []popup.Variant{
		{ID: "same", Content: new(popup.Content), Click: new(popup.Action), Theme: new(popup.Theme)},
		{ID: "other", Content: &other.Content, Click: &other.Click, Theme: &other.Theme},
	}
	if got, want := parts(base.Variant("same")), parts(base.Content, base.Click, base.Theme); !reflect.DeepEqual(got, want) {
		t.Errorf("an empty variant: got\n%v, want\n%v", got, want)
	}
	if got, want := parts(base.Variant("other")), parts(other.Content, other.Click, other.Theme); !reflect.DeepEqual(got, want) {
		t.Errorf("a full variant: got\n%v, want\n%v", got, want)
	}
}

// filled returns a pop-up with all members set to values made from the text.
func filled(text string) (p popup.Popup) {
	for _, part := range []any{&p.Content, &p.Click, &p.Theme} {
		fill(reflect.ValueOf(part).Elem(), text)
	}
	return p
}

func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), text)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"k": text}))
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(int64(len(text)))
	case reflect.Float64:
		v.SetFloat(float64(len(text)))
	default:
		panic("a kind of member that is not filled: " + v.Kind().String())
	}
}
