package injector

import (
	"net/http"
	"strings"
)

// kind is what the request's headers say about a possible page.
type kind uint8

const (
	kindNone     kind = iota
	kindDocument      // shown as a document for sure: any HTML is a page
	kindMaybe         // fetched by a script or by who knows whom: only whole documents are pages
	kindUnlikely      // as kindMaybe, from a client that may as well want data: nothing is asked of the upstream for its sake
)

// Classify tells from a request's headers whether the answer may be a page. For
// "" it may, and the answer decides; otherwise the request should be passed on as
// it is, without a [Writer].
func (in *Injector) Classify(r *http.Request) Reason {
	_, reason := in.kind(r)
	return reason
}

// kind follows the Fetch Metadata headers (W3C fetch-metadata 2) where they are
// sent, and Accept where not.
func (in *Injector) kind(r *http.Request) (kind, Reason) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		// A form's answer is a page, too, often with what was wrong in it.
		if k, reason := in.byHeader(r.Header); k == kindDocument || k == kindMaybe {
			return k, reason
		}
		return kindNone, ReasonMethod
	default:
		return kindNone, ReasonMethod
	}
	return in.byHeader(r.Header)
}

func (in *Injector) byHeader(h http.Header) (kind, Reason) {
	if isUpgrade(h) {
		return kindNone, ReasonUpgrade
	}
	switch dest := first(h["Sec-Fetch-Dest"]); dest {
	case "document":
		return kindDocument, ""
	case "iframe", "frame", "fencedframe", "object", "embed":
		if in.opts.Frames {
			return kindDocument, ""
		}
		return kindNone, ReasonFrame
	case "", "empty":
		return maybePage(h, dest)
	}
	return kindNone, ReasonNotAPage
}

// isUpgrade reports whether the connection is to become something else.
func isUpgrade(h http.Header) bool {
	return len(h["Upgrade"]) > 0 || hasToken(h["Connection"], "upgrade")
}

// maybePage judges requests that carry no sign of a navigation. A fetch that does
// not ask for text/html is an API call, which would lose its compression.
func maybePage(h http.Header, dest string) (kind, Reason) {
	html := acceptsHTML(h["Accept"])
	if dest == "empty" && hasPrefixFold(first(h["Sec-Purpose"]), "prefetch") && html {
		return kindDocument, "" // <link rel=prefetch> of a page: shown later
	}
	for _, name := range [...]string{"Turbo-Frame", "X-Requested-With", "X-Pjax", "X-Up-Target"} {
		if len(h[name]) > 0 {
			return kindNone, ReasonNotAPage
		}
	}
	switch {
	case swapsWholePages(h), html && len(h["Hx-Request"]) == 0: // htmx sends Accept: */*
		return kindMaybe, ""
	case len(h["Hx-Request"]) == 0 && acceptsAnything(h["Accept"]):
		return kindUnlikely, "" // a worker that keeps pages for later; curl, crawlers, feed readers
	}
	return kindNone, ReasonNotAPage
}

// swapsWholePages reports whether htmx fetches a page to put its body, and the
// title, in the place of the present one's.
func swapsWholePages(h http.Header) bool {
	return first(h["Hx-Boosted"]) == "true" || first(h["Hx-History-Restore-Request"]) == "true"
}

// acceptsAnything reports whether the client has not said what it wants.
func acceptsAnything(accept []string) bool {
	return len(accept) == 0 || len(accept) == 1 && strings.TrimSpace(accept[0]) == "*/*"
}

// acceptsHTML reports whether Accept names text/html.
func acceptsHTML(accept []string) bool {
	for _, v := range accept {
		for part := range strings.SplitSeq(v, ",") {
			if isType(strings.TrimSpace(part), "text/html") {
				return true
			}
		}
	}
	return false
}

// isType reports whether a header value begins with the given media type or
// disposition, in any case, and nothing but parameters follow.
func isType(v, want string) bool {
	if !hasPrefixFold(v, want) {
		return false
	}
	after := strings.TrimLeft(v[len(want):], " \t")
	return after == "" || after[0] == ';'
}

// hasToken reports whether a comma-separated header holds the token, in any case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(part, " \t"), token) {
				return true
			}
		}
	}
	return false
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
