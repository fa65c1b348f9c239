package injector

import (
	"net/http"
	"strings"
)

// kind describes the possible page, by the request's headers.
type kind uint8

const (
	kindNone     kind = iota
	kindDocument      // certainly shown as a document: any HTML is a page
	kindMaybe         // fetched by a script or an unknown client: only whole documents are pages
	kindUnlikely      // like kindMaybe, from a client that may want data: the upstream gets the request unchanged
)

// Classify decides by a request's headers whether the answer may be a page. It returns "" if it may; the
// answer then decides. Otherwise pass the request on as it is, without a [Writer].
func (in *Injector) Classify(r *http.Request) Reason {
	_, reason := in.kind(r)
	return reason
}

// kind follows the Fetch Metadata headers (W3C fetch-metadata 2), or Accept without them.
func (in *Injector) kind(r *http.Request) (kind, Reason) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		// A form's answer is a page, too, often with its errors.
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

// isUpgrade reports whether the connection changes its protocol.
func isUpgrade(h http.Header) bool {
	return len(h["Upgrade"]) > 0 || hasToken(h["Connection"], "upgrade")
}

// maybePage decides about requests without a sign of a navigation. A fetch that does not ask for text/html is
// an API call, which would lose its compression.
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
		return kindUnlikely, "" // a worker that caches pages; curl, crawlers, feed readers
	}
	return kindNone, ReasonNotAPage
}

// swapsWholePages reports whether htmx fetches a page to replace the current body and title.
func swapsWholePages(h http.Header) bool {
	return first(h["Hx-Boosted"]) == "true" || first(h["Hx-History-Restore-Request"]) == "true"
}

// acceptsAnything reports whether the client states no preference.
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

// isType reports whether a header value begins with the given media type or disposition, in any case,
// followed by nothing but parameters.
func isType(v, want string) bool {
	if !hasPrefixFold(v, want) {
		return false
	}
	after := strings.TrimLeft(v[len(want):], " \t")
	return after == "" || after[0] == ';'
}

// hasToken reports whether a comma-separated header contains the token, in any case.
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
