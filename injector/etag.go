package injector

import "strings"

// An injected page is another representation than the upstream's, so its entity
// tag gets a suffix with a hash of the tags: "v1" becomes "v1-wp0a1b2c3d".
const (
	suffixPrefix = "-wp"
	suffixHex    = 8
)

// The headers of a request that are changed for the handler.
const (
	slotEncoding = iota
	slotMatch
	slotSince
	numChanged
)

var changedHeaders = [numChanged]string{"Accept-Encoding", "If-None-Match", "If-Modified-Since"}

// PrepareRequest changes the headers of the Writer's request for the handler that makes the page. It changes
// them in place, because a copy of the request costs more than all the rest. [Writer.RestoreRequest] undoes
// it after the handler.
//
//   - Accept-Encoding becomes identity: compressed pages can't be changed. Clients that may want data keep
//     theirs, and get what they asked for. A request without codings stays as it is, because Go's Transport
//     may add gzip and then decode it.
//   - If-None-Match loses our suffix, which the upstream doesn't know; tags with a suffix of another version
//     are dropped.
//   - On navigations, tags without a suffix and If-Modified-Since are dropped too: they belong to a copy
//     without our tags, which a 304 would revive.
//
// Range and If-Range stay: a partial answer passes unchanged, and If-Range with our suffix makes the upstream
// send all.
func (w *Writer) PrepareRequest() {
	h := w.request.Header
	for slot, name := range changedHeaders {
		w.client[slot] = h[name]
	}
	w.prepared = true
	if w.kind != kindUnlikely && first(w.client[slotEncoding]) != "" {
		w.set(h, slotAccept, changedHeaders[slotEncoding], "identity")
	}
	if w.kind == kindDocument {
		delete(h, changedHeaders[slotSince])
	}
	if inm := w.client[slotMatch]; len(inm) > 0 {
		if v := w.in.matches(inm, w.kind != kindDocument); v != "" {
			w.set(h, slotIfNone, changedHeaders[slotMatch], v)
		} else {
			delete(h, changedHeaders[slotMatch])
		}
	}
}

// RestoreRequest restores the client's headers of the request, for outer handlers and logs. It may be
// deferred, and does nothing if nothing was prepared.
func (w *Writer) RestoreRequest() {
	if !w.prepared {
		return
	}
	w.prepared = false
	h := w.request.Header
	for slot, name := range changedHeaders {
		if values := w.client[slot]; values != nil {
			h[name] = values
		} else {
			delete(h, name)
		}
	}
}

// matches rewrites If-None-Match for the upstream. It keeps members without our suffix if foreign is true.
func (in *Injector) matches(values []string, foreign bool) string {
	var b strings.Builder
	for _, v := range values {
		for {
			var tag string
			if tag, v = cutTag(v); tag == "" {
				break
			}
			original, ours := strings.CutSuffix(tag, in.suffix+`"`)
			switch {
			case ours:
				tag = original + `"`
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

// cutTag returns the first entity tag, with W/ if it has it, or "*", and the rest of the list (RFC 9110 8.8.3
// and 13.1.2). It returns "" at the list's end and for malformed tags.
func cutTag(list string) (tag, remaining string) {
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

// hasSuffix reports whether a tag has a suffix of any version of ours.
func hasSuffix(tag string) bool {
	i := strings.LastIndex(tag, suffixPrefix)
	if i < 0 || len(tag) != i+len(suffixPrefix)+suffixHex+1 {
		return false
	}
	return only(tag[i+len(suffixPrefix):len(tag)-1], "0123456789abcdef")
}

// suffixed returns the entity tag of the changed page, or "" if it is malformed.
func (in *Injector) suffixed(etag string) string { return string(in.appendSuffixed(nil, etag)) }

// appendSuffixed appends the result of suffixed.
func (in *Injector) appendSuffixed(b []byte, etag string) []byte {
	tag, more := cutTag(etag)
	if tag == "" || tag == "*" || more != "" {
		return b
	}
	b = append(b, tag[:len(tag)-1]...)
	return append(append(b, in.suffix...), '"')
}

// hasEntityTag reports whether If-None-Match has the given tag, by weak comparison (RFC 9110 8.8.3.2).
func hasEntityTag(values []string, want string) bool {
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
