package onsite

import (
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// Page is where a visitor is, and how they came there. The page reports it, so it can't be trusted.
type Page struct {
	Path string `json:"path"`
	// Query is the URL's, with or without its question mark.
	Query string `json:"query,omitempty"`
	// Referrer is a URL; may be empty.
	Referrer string `json:"referrer,omitempty"`
	// UTM is that of the visit; missing parts are taken from Query.
	UTM popup.UTM `json:"utm,omitzero"`
	// Device is "desktop", "phone" or "tablet".
	Device string `json:"device,omitempty"`
	// Language is a BCP 47 tag.
	Language string `json:"language,omitempty"`
	// Visits includes this one; 1 means a new visitor.
	Visits int64 `json:"visits,omitempty"`
}

// Reason is why a pop-up does not apply to a visitor on a page; empty if it applies.
type Reason string

const (
	NotRunning  Reason = "state"
	NotPath     Reason = "path"
	NotQuery    Reason = "query"
	NotReferrer Reason = "referrer"
	NotUTM      Reason = "utm"
	NotDevice   Reason = "device"
	NotLanguage Reason = "language"
	NotVisitor  Reason = "visitors"
	NotYet      Reason = "from"
	NotAnyMore  Reason = "until"
	CapSession  Reason = "session"
	CapDay      Reason = "day"
	CapAll      Reason = "lifetime"
)

// Place returns which of a pop-up's conditions the page or the visitor does not fulfil; "" if none.
func Place(where *popup.Where, page Page) Reason {
	query, _ := url.ParseQuery(strings.TrimPrefix(page.Query, "?"))
	switch {
	case !pathAllowed(where.Paths, page.Path):
		return NotPath
	case !queryHas(where.Query, query):
		return NotQuery
	case len(where.Referrer) > 0 && !matchesAny(host(page.Referrer), hosts(where.Referrer)...):
		return NotReferrer
	case !utmMatches(where.UTM, page.UTM, query):
		return NotUTM
	case len(where.Devices) > 0 && !slices.Contains(where.Devices, page.Device):
		return NotDevice
	case len(where.Languages) > 0 && !languageMatches(where.Languages, page.Language):
		return NotLanguage
	case where.Visitors == "new" && page.Visits > 1, where.Visitors == "returning" && page.Visits <= 1:
		return NotVisitor
	}
	return ""
}

func queryHas(want map[string]string, query url.Values) bool {
	for name, pattern := range want {
		if !slices.ContainsFunc(query[name], func(v string) bool { return matchesAny(v, pattern) }) {
			return false
		}
	}
	return true
}

func utmMatches(want, have popup.UTM, query url.Values) bool {
	for _, u := range []struct{ want, have, name string }{
		{want.Source, have.Source, "source"}, {want.Medium, have.Medium, "medium"}, {want.Campaign, have.Campaign, "campaign"},
	} {
		if u.have == "" {
			u.have = query.Get("utm_" + u.name)
		}
		if u.want != "" && !matchesAny(u.have, u.want) {
			return false
		}
	}
	return true
}

func languageMatches(languages []string, tag string) bool {
	tag = strings.ToLower(tag) + "-"
	return slices.ContainsFunc(languages, func(l string) bool { return strings.HasPrefix(tag, strings.ToLower(l)+"-") })
}

// host returns the host name of a URL; empty if it has none.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// matchesAny reports whether one of the patterns matches the whole text; * matches any text. The time is bounded by
// the product of their lengths.
func matchesAny(text string, patterns ...string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return glob(strings.Split(p, "*"), text) })
}

// glob reports whether a pattern matches the whole text; parts are the pattern's parts between its stars.
func glob(parts []string, text string) bool {
	if len(parts) == 1 {
		return parts[0] == text
	}
	text, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, last)
}
