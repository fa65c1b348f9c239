package injector

import (
	"net/http"
	"strings"
)

// An injected page is another representation than the upstream's, so its entity
// tag gets a suffix with a hash of the tags: "v1" becomes "v1-wp0a1b2c3d".
const (
	suffixPrefix = "-wp"
	suffixHex    = 8
)

// PrepareRequest returns a shallow copy of r with headers of its own, to be
// passed to the handler that makes the page; r stays as it is.
//
//   - Accept-Encoding is identity: compressed pages can't be changed. Clients
//     that may as well want data get what they asked for, changed or not.
//   - If-None-Match loses our suffix, as the upstream doesn't know it; tags with
//     a suffix of another version of ours are dropped.
//   - On navigations, tags without a suffix and If-Modified-Since are dropped
//     too: they stand for a copy without our tags, which a 304 would revive.
//
// Range and If-Range stay: a partial answer passes unchanged, and If-Range with
// our suffix makes the upstream send all.
func (in *Injector) PrepareRequest(r *http.Request) *http.Request {
	k, _ := in.kind(r)
	clone := r.WithContext(r.Context())
	clone.Header = r.Header.Clone()
	if clone.Header == nil {
		clone.Header = make(http.Header)
	}
	if k != kindUnlikely {
		replace(clone.Header, "Accept-Encoding", "identity")
	}
	if k == kindDocument {
		delete(clone.Header, "If-Modified-Since")
	}
	if inm := r.Header["If-None-Match"]; len(inm) > 0 {
		if v := in.matches(inm, k != kindDocument); v != "" {
			replace(clone.Header, "If-None-Match", v)
		} else {
			delete(clone.Header, "If-None-Match")
		}
	}
	return clone
}

// replace sets a header, in the place of its first value if there is one. The
// map must be the caller's own.
func replace(h http.Header, name, value string) {
	if old := h[name]; len(old) > 0 {
		old[0] = value
		h[name] = old[:1]
		return
	}
	h[name] = []string{value}
}

// matches rewrites If-None-Match for the upstream. Members without a suffix of
// ours are kept if foreign is true.
func (in *Injector) matches(values []string, foreign bool) string {
	var b strings.Builder
	for _, v := range values {
		for {
			var tag string
			if tag, v = cutTag(v); tag == "" {
				break
			}
			own, ours := strings.CutSuffix(tag, in.suffix+`"`)
			switch {
			case ours:
				tag = own + `"`
			case tag != "*" && (!foreign || hasSuffix(tag)):
				continue
			}
			if b.Len() > 0 {
				b.WriteString(", ")
			}
			b.WriteString(tag)
		}
	}
	return b.String()
}

// cutTag returns the first entity tag, with W/ if it has it, or "*", and what
// follows it (RFC 9110 8.8.3 and 13.1.2). It returns "" at the list's end and
// for anything malformed.
func cutTag(list string) (tag, rest string) {
	list = strings.TrimLeft(list, " \t,")
	if strings.HasPrefix(list, "*") {
		return "*", list[1:]
	}
	start := 0
	if strings.HasPrefix(list, "W/") {
		start = len("W/")
	}
	if len(list) <= start || list[start] != '"' {
		return "", ""
	}
	end := strings.IndexByte(list[start+1:], '"')
	if end < 0 {
		return "", ""
	}
	end += start + 2
	return list[:end], list[end:]
}

// hasSuffix reports whether a tag bears a suffix of any version of ours.
func hasSuffix(tag string) bool {
	i := strings.LastIndex(tag, suffixPrefix)
	if i < 0 || len(tag) != i+len(suffixPrefix)+suffixHex+1 {
		return false
	}
	return only(tag[i+len(suffixPrefix):len(tag)-1], "0123456789abcdef")
}

// suffixed returns the entity tag of the changed page, or "" for a malformed one.
func (in *Injector) suffixed(etag string) string {
	tag, rest := cutTag(etag)
	if tag == "" || tag == "*" || rest != "" {
		return ""
	}
	return tag[:len(tag)-1] + in.suffix + `"`
}

// holds reports whether If-None-Match has the given tag, by weak comparison
// (RFC 9110 8.8.3.2).
func holds(values []string, want string) bool {
	want = strings.TrimPrefix(want, "W/")
	for _, v := range values {
		for {
			var tag string
			if tag, v = cutTag(v); tag == "" {
				break
			}
			if strings.TrimPrefix(tag, "W/") == want {
				return true
			}
		}
	}
	return false
}
