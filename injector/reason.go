package injector

// Reason is what happened to a response, or why a request can't be a page. The values are few and constant
// ([Reasons]) and can label a metric. The empty Reason means "not decided" ([Writer.Reason]) or "may be a
// page" ([Injector.Classify]).
type Reason string

// Reasons of both [Injector.Classify] and [Writer.Reason].
const (
	ReasonMethod   Reason = "method"     // neither GET nor HEAD; from a Writer: HEAD, no body to change
	ReasonUpgrade  Reason = "upgrade"    // the connection changes its protocol
	ReasonNotAPage Reason = "not-a-page" // a subresource, an API call or a part of a page
	ReasonFrame    Reason = "frame"      // a page within a page, see Options.Frames
)

// Reasons of [Writer.Reason] alone.
const (
	ReasonInjected      Reason = "injected"       // the tags are in
	ReasonNotHTML       Reason = "not-html"       // another type, or the body begins with text
	ReasonStatus        Reason = "status"         // no body or a partial one: 1xx, 204, 205, 206, 3xx
	ReasonEmpty         Reason = "empty"          // nothing was written, or only space
	ReasonEncoded       Reason = "encoded"        // has a Content-Encoding that isn't decoded, see Options.Decode, or can't be
	ReasonBroken        Reason = "broken"         // cut off: a compressed body turned out broken, or too large, after the page had begun
	ReasonNoTransform   Reason = "no-transform"   // Cache-Control forbids changes
	ReasonAttachment    Reason = "attachment"     // a download
	ReasonCharset       Reason = "charset"        // not an ASCII-compatible encoding
	ReasonSigned        Reason = "signed"         // a signature or a trailing digest covers what a change would alter
	ReasonFragment      Reason = "fragment"       // fetched by a script and not a whole document
	ReasonAMP           Reason = "amp"            // AMP allows no scripts
	ReasonOpenConstruct Reason = "open-construct" // ended inside a tag, comment or script
	ReasonLength        Reason = "length"         // its length can't be kept, and a client of HTTP/1.0 needs it to find the end
	ReasonXHTML         Reason = "xhtml"          // application/xhtml+xml without a plain <html><head>…</head>
	ReasonAlready       Reason = "already"        // injected before, by another proxy or by hand
	ReasonCSP           Reason = "csp"            // the page's Content-Security-Policy blocks the script or all its posts, see Writer.Blocked
	ReasonHost          Reason = "host"           // has a foreign base address and the request's Host is odd
)

// Reasons returns all values, [ReasonInjected] first, for a metric's label.
func Reasons() []Reason {
	return []Reason{
		ReasonInjected,
		ReasonMethod, ReasonUpgrade, ReasonNotAPage, ReasonFrame,
		ReasonNotHTML, ReasonStatus, ReasonEmpty, ReasonEncoded, ReasonBroken, ReasonNoTransform, ReasonAttachment,
		ReasonCharset, ReasonSigned, ReasonFragment, ReasonAMP, ReasonOpenConstruct, ReasonXHTML, ReasonAlready,
		ReasonCSP, ReasonHost, ReasonLength,
	}
}
