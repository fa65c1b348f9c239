package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
)

// OrderFault and OrderCure are about encode after our handler: we request pages uncompressed, and
// no handler compresses them after us.
const (
	OrderFault = "has encode inside of webpush, so that pages are sent uncompressed"
	OrderCure  = `put the line "encode" beside "webpush", in the same block: Caddy then runs it first. In a route or handle block, write it in front of webpush; take "order webpush before encode" out of the global options`
)

// configRoute is the part of a route that matters for the order of handlers.
type configRoute struct {
	Group    string            `json:"group"`
	Terminal bool              `json:"terminal"`
	Handle   []json.RawMessage `json:"handle"`
}

// EncodingServers returns the names, sorted, of the servers on which a request may pass through
// webpush and then through encode. The configuration has the form of the admin API.
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

// routes walks routes; inside means that the request has passed webpush already, and the result
// that it has after them.
func (w *orderWalk) routes(list []configRoute, inside bool) bool {
	before, after := inside, inside
	groups := map[string]bool{} // the state at the beginning of each group's routes
	for _, r := range list {
		begin := after
		if r.Group != "" { // only one of them runs
			if _, known := groups[r.Group]; !known {
				groups[r.Group] = after
			}
			begin = groups[r.Group]
		}
		end := w.handlers(r.Handle, begin)
		if r.Terminal {
			end = before // no handler follows
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
