package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
)

// OrderFault and OrderCure are about encode behind our handler: pages come to us
// uncompressed, as we ask for them so, and nothing compresses them after us.
const (
	OrderFault = "has encode inside of webpush, so that pages go out uncompressed"
	OrderCure  = `let the line "encode" stand beside "webpush", in the same block: it then comes first by itself. In a route or handle block, write it in front of webpush; take "order webpush before encode" out of the global options`
)

// configRoute is what of a route counts for the order of handlers.
type configRoute struct {
	Group    string            `json:"group"`
	Terminal bool              `json:"terminal"`
	Handle   []json.RawMessage `json:"handle"`
}

// EncodingServers finds the servers, of a configuration as the admin API has it, on
// which a request may come through webpush and then through encode: by name, sorted.
func EncodingServers(servers []byte) ([]string, error) {
	var all map[string]struct {
		Routes []configRoute `json:"routes"`
	}
	if err := json.Unmarshal(servers, &all); err != nil {
		return nil, fmt.Errorf("reading the routes of the running configuration: %w", err)
	}
	var found []string
	for name, s := range all {
		w := orderWalk{}
		w.routes(s.Routes, false)
		if w.found {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

// orderWalk goes through handlers in the order in which Caddy runs them.
type orderWalk struct{ found bool }

// routes goes through routes; inside says that webpush is on the way already, and the
// result that it is after them.
func (w *orderWalk) routes(list []configRoute, inside bool) bool {
	before, after := inside, inside
	groups := map[string]bool{} // what each group's routes begin with
	for _, r := range list {
		begin := after
		if r.Group != "" { // one of them alone runs
			if _, known := groups[r.Group]; !known {
				groups[r.Group] = after
			}
			begin = groups[r.Group]
		}
		end := w.handlers(r.Handle, begin)
		if r.Terminal {
			end = before // nothing comes after it
		}
		after = after || end
	}
	return after
}

func (w *orderWalk) handlers(list []json.RawMessage, inside bool) bool {
	for _, text := range list {
		var h struct {
			Handler string        `json:"handler"`
			Routes  []configRoute `json:"routes"`
		}
		if json.Unmarshal(text, &h) != nil {
			continue
		}
		switch h.Handler {
		case "webpush":
			inside = true
		case "encode":
			w.found = w.found || inside
		case "subroute":
			inside = w.routes(h.Routes, inside)
		}
	}
	return inside
}
