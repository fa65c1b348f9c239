package injector

import (
	"net/http"
	"strconv"
	"strings"
)

// judge decides by status and header whether a response may be changed; "" if so. decode allows a coded one
// to be sent plain.
func (in *Injector) judge(status int, h http.Header, decode bool) Reason {
	switch {
	case status == http.StatusSwitchingProtocols:
		return ReasonUpgrade
	case status == http.StatusNoContent, status == http.StatusResetContent,
		status == http.StatusPartialContent, status >= 300 && status <= 399:
		return ReasonStatus
	case len(h[Marker]) > 0:
		return ReasonAlready
	}
	contentType, sniffed := contentType(h)
	if !sniffed && !isType(contentType, "text/html") && !isType(contentType, xhtmlType) {
		return ReasonNotHTML
	}
	if !in.readable(h, decode) {
		return ReasonEncoded
	}
	switch {
	case isType(first(h["Content-Disposition"]), "attachment"):
		return ReasonAttachment
	case !in.opts.IgnoreNoTransform && hasToken(h["Cache-Control"], "no-transform"):
		return ReasonNoTransform
	case !asciiCompatible(contentType):
		return ReasonCharset
	case signed(h):
		return ReasonSigned
	case first(h["Content-Length"]) == "0":
		return ReasonEmpty
	}
	return ""
}

// readable reports whether the body is plain or can be decoded. Clients without Fetch Metadata whose
// Accept-Encoding was passed on get the coding that they asked for.
func (in *Injector) readable(h http.Header, decode bool) bool {
	values := h["Content-Encoding"]
	if len(values) == 0 || len(values) == 1 && (values[0] == "" || strings.EqualFold(values[0], "identity")) {
		return true
	}
	return in.opts.Decode && decode && codecOf(h) != codecNone
}

// contentType returns the declared type, and whether it is missing, so that net/http would guess it from the
// first bytes.
func contentType(h http.Header) (value string, sniff bool) {
	values, ok := h["Content-Type"]
	return first(values), !ok && len(h["Content-Encoding"]) == 0
}

// asciiCompatible reports whether the bytes 00-7F always mean ASCII in text of the declared charset. All
// encodings of the Encoding Standard do except UTF-16 and ISO-2022-JP; the others here are older names.
func asciiCompatible(contentType string) bool {
	charset := charsetOf(contentType)
	if charset == "" || strings.EqualFold(charset, "utf-8") {
		return true
	}
	charset = strings.ToLower(charset)
	for _, bad := range [...]string{"utf-16", "utf16", "utf-32", "utf32", "utf-7", "ucs-2", "ucs-4", "iso-2022", "iso2022", "hz-gb", "unicode"} {
		if strings.Contains(charset, bad) {
			return false
		}
	}
	return true
}

// charsetOf returns the charset parameter of a Content-Type, or "".
func charsetOf(contentType string) string {
	for part := range strings.SplitSeq(contentType, ";") {
		name, value, ok := strings.Cut(part, "=")
		if ok && strings.EqualFold(strings.TrimSpace(name), "charset") {
			return strings.Trim(value, " \t\"'")
		}
	}
	return ""
}

// signed reports whether an HTTP message signature (RFC 9421) covers a header that a change alters, or the
// trailers will have a digest (RFC 9530).
func signed(h http.Header) bool {
	for _, v := range h["Signature-Input"] {
		v = strings.ToLower(v)
		for _, name := range [...]string{"digest", "content-length", "content-md5", "etag", "last-modified", "accept-ranges"} {
			if strings.Contains(v, name) {
				return true
			}
		}
	}
	for _, v := range h["Trailer"] {
		if strings.Contains(strings.ToLower(v), "digest") {
			return true
		}
	}
	return false
}

// contentLength returns the declared length of the body, or -1.
func contentLength(h http.Header) int64 {
	values := h["Content-Length"]
	if len(values) != 1 {
		return -1
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// fixHeader turns the header into that of a changed page. The body grows by the given number of bytes, unless
// its length is unknown.
func (w *Writer) fixHeader(extra int, marker string) {
	h := w.Header()
	length, tag := w.newValues(extra)
	w.set(h, slotMarker, Marker, marker)
	w.addVary(h)
	if length != "" {
		w.set(h, slotLength, "Content-Length", length)
	} else {
		delete(h, "Content-Length")
	}
	if w.codec != codecNone {
		delete(h, "Content-Encoding")
	}
	if w.csp.extended {
		w.setPolicies()
	}
	if tag != "" {
		w.set(h, slotETag, "Etag", tag)
	} else {
		delete(h, "Etag")
	}
	for _, name := range [...]string{
		"Last-Modified", // can't express the tags' version
		"Accept-Ranges", // ranges would be those of the unchanged body
		"Content-Md5", "Digest", "Content-Digest", "Repr-Digest",
	} {
		delete(h, name)
	}
}

// newValues returns the page's Content-Length and entity tag; "" means that it must not have one. Both are
// parts of one string, for one allocation.
func (w *Writer) newValues(extra int) (length, tag string) {
	var buf [128]byte
	b := buf[:0]
	if w.length >= 0 {
		b = strconv.AppendInt(b, w.length+int64(extra), 10)
	}
	n := len(b)
	if values := w.Header()["Etag"]; len(values) > 0 && !w.csp.ownNonce {
		b = w.in.appendSuffixed(b, values[0])
	}
	both := string(b)
	return both[:n], both[n:]
}

// The slots of Writer.values.
const (
	slotMarker = iota
	slotLength
	slotETag
	slotVary
	slotAccept // of the request
	slotIfNone // of the request
	numValues
)

// set sets a header. The values' slices are parts of w: they cost no allocation, and a handler that changes
// one in place (Caddy's header replacements do) changes no other.
func (w *Writer) set(h http.Header, slot int, name, value string) {
	w.values[slot] = value
	h[name] = w.values[slot : slot+1 : slot+1]
}

// fixNotModified sets the client's entity tag in a 304, if PrepareRequest had turned ours into the
// upstream's.
func (w *Writer) fixNotModified() {
	h := w.Header()
	clientTags := w.client[slotMatch]
	if !w.prepared {
		clientTags = w.request.Header["If-None-Match"]
	}
	tag := w.in.suffixed(first(h["Etag"]))
	if tag == "" || !hasEntityTag(clientTags, tag) {
		return
	}
	w.set(h, slotETag, "Etag", tag)
	w.addVary(h)
	delete(h, "Last-Modified")
	delete(h, "Accept-Ranges")
	// Caches update the stored header: it must still allow our tags.
	if policies := w.outgoing()[cspHeader]; len(policies) > 0 && w.guard(policies) && w.csp.extended && !w.csp.ownNonce {
		w.setPolicies()
	}
}

// isIncremental reports whether the response asks for forwarding without buffering (the Incremental header
// field, a structured boolean).
func isIncremental(h http.Header) bool {
	return hasPrefixFold(first(h["Incremental"]), "?1")
}
