package popup

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// TestValues: the values that tags name for the API's document are those that Validate
// takes.
func TestValues(t *testing.T) {
	bodies := map[string]string{ // by type and field; %q is the value
		"Popup.Position": `{"kind":"html","position":%q,"content":{"html":"x"}}`,
		"Input.Kind":     `{"content":{"input":{"kind":%q,"label":"L","event":"E"}}}`,
		"Action.Do":      `{"click":{"do":%q,"url":"/","function":"f","text":"T"},"content":{"input":{"kind":"text","label":"L","event":"E"}}}`,
		"Theme.Mode":     `{"theme":{"mode":%q}}`,
		"Where.Devices":  `{"where":{"devices":[%q]}}`,
		"Where.Visitors": `{"where":{"visitors":%q}}`,
	}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[Popup](), reflect.TypeFor[Content](), reflect.TypeFor[Button](), reflect.TypeFor[Input](), reflect.TypeFor[Action](),
		reflect.TypeFor[Theme](), reflect.TypeFor[Where](), reflect.TypeFor[When](), reflect.TypeFor[Caps](), reflect.TypeFor[Variant](),
		reflect.TypeFor[Conversion](), reflect.TypeFor[Settings](),
	} {
		for _, f := range reflect.VisibleFields(typ) {
			_, list, has := strings.Cut(f.Tag.Get("api"), "oneof=")
			if !has {
				continue
			}
			name := typ.Name() + "." + f.Name
			body, tested := bodies[name]
			if !tested {
				t.Errorf("no values of %s are tested", name)
				continue
			}
			delete(bodies, name)
			member, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			for _, value := range append(strings.Split(list, "|"), "other") {
				p := Popup{ID: "x", State: Draft, Kind: Box, Content: Content{Title: "T"}}
				if err := json.Unmarshal(fmt.Appendf(nil, body, value), &p); err != nil {
					t.Fatal(err)
				}
				var fault *pushsvc.FieldError
				err := p.Validate()
				refused := errors.As(err, &fault) && strings.Contains("."+fault.Field, "."+member)
				if refused != (value == "other") {
					t.Errorf("%s %q: %v", name, value, err)
				}
			}
		}
	}
	for name := range bodies {
		t.Errorf("%s names no values", name)
	}
}
