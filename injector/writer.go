package injector

import (
	"fmt"
	"net/http"
)

// Writer is an [http.ResponseWriter] that changes the page written to it. It sends the header when the first
// bytes of the body are known, and everything else as soon as it comes. It is for one request and one
// goroutine.
//
// If a handler fails half way, don't call [Writer.Finish]: the written bytes have been sent, and nothing is added.
type Writer struct {
	down      http.ResponseWriter
	in        *Injector
	request   *http.Request
	client    [numChanged][]string // the request's headers before PrepareRequest
	length    int64                // the upstream's Content-Length, or -1
	status    int
	promised  int // bytes promised in addition to length and not yet used
	reason    Reason
	csp       cspState
	later     Later
	previewed http.Header // the header as later will send it; nil if nothing changes it
	decoder   *decoder
	scan      scanner
	held      [maxHeld]byte // the first heldLen bytes wait for the next piece
	heldLen   uint8
	phase     phase
	kind      kind
	codec     codec // of the body as it comes
	sniff     bool  // Content-Type is guessed from the first bytes
	prepared  bool  // client is set
	flushed   bool  // a flush was requested while the header had to wait

	// After the scanner, whose speed depends on its position.
	vary   string            // the headers that the decision about the request depended on
	origin string            // in the tags' addresses, if a base address requires it
	err    error             // why the phase is phaseBroken
	values [numValues]string // backs the header values that set sets

	displacer *displacer // after the tags, if there may be scripts to displace
}

// NewWriter wraps w for the answer to r, which may be a page by [Injector.Classify]. r is the request as it
// came.
func (in *Injector) NewWriter(w http.ResponseWriter, r *http.Request) *Writer {
	iw := &Writer{down: w, in: in, request: r, length: -1}
	iw.kind, _ = in.kind(r)
	iw.scan.needWhole = iw.kind != kindDocument
	iw.scan.needTags = iw.scan.needWhole && swapsWholePages(r.Header)
	iw.vary = varyOn(r.Header)
	iw.scan.early = iw.in.opts.Blocking
	iw.scan.marker = in.script[1]
	return iw
}

// Later changes a header after the Writer has passed it on, like a proxy that defers changes until the header
// is sent.
type Later interface {
	// Preview returns the header as it would be sent if it were h. It does not change h.
	Preview(status int, h http.Header) http.Header
	// Keep makes the field be sent with these values, whatever changes later.
	Keep(field string, values []string)
}

// SetLater makes the Writer decide about pages by the header as sent. Call it before the response begins.
func (w *Writer) SetLater(l Later) { w.later = l }

// preview previews the header that will be sent.
func (w *Writer) preview() {
	if w.later != nil {
		w.previewed = w.later.Preview(w.status, w.Header())
	}
}

// outgoing returns the header that will be sent; read only.
func (w *Writer) outgoing() http.Header {
	if w.previewed != nil {
		return w.previewed
	}
	return w.Header()
}

// setPolicies sets the extended policies in the header.
func (w *Writer) setPolicies() {
	w.Header()[cspHeader] = w.csp.headers
	if w.later != nil {
		w.later.Keep(cspHeader, w.csp.headers)
	}
}

// Header returns the header map of the wrapped writer.
func (w *Writer) Header() http.Header { return w.down.Header() }

// Unwrap returns the wrapped writer, for [http.ResponseController].
func (w *Writer) Unwrap() http.ResponseWriter { return w.down }

// Reason returns what happened to the response. It is "" until that is known, at the latest after
// [Writer.Finish].
func (w *Writer) Reason() Reason { return w.reason }

// Begun reports whether the response's final status is known.
func (w *Writer) Begun() bool { return w.phase != phaseStart }

// WriteHeader implements [http.ResponseWriter]. Informational answers pass; the final one waits for the first
// Write or flush if it may be a page.
func (w *Writer) WriteHeader(status int) {
	switch {
	case w.phase == phaseFirst, w.phase == phaseFirstPacked:
		return // superfluous
	case w.phase != phaseStart, status >= 100 && status <= 199 && status != http.StatusSwitchingProtocols:
		w.down.WriteHeader(status) // superfluous, which the server logs, or informational
		return
	}
	h := w.Header()
	w.status = status
	w.preview()
	if reason := w.judge(); reason != "" {
		if status == http.StatusNotModified {
			w.fixNotModified()
		}
		w.pass(reason)
		return
	}
	var declared string
	declared, w.sniff = contentType(w.outgoing())
	w.scan.undeclared = charsetOf(declared) == ""
	w.scan.xml = isType(declared, xhtmlType)
	w.length = contentLength(h)
	w.codec = codecOf(h)
	switch {
	case !w.sniff && !w.allowed():
		w.pass(ReasonCSP)
	case w.request.Method == http.MethodHead:
		w.head()
	case w.codec != codecNone:
		w.setPhase(phaseFirstPacked)
	case isIncremental(h) && !w.sniff:
		w.commitOpen()
	default:
		w.setPhase(phaseFirst)
	}
}

// judge decides by status and header whether the response may be changed; "" if so. The header as sent
// counts, except another Writer's mark, which may be removed later.
func (w *Writer) judge() Reason {
	if len(w.Header()[Marker]) > 0 && w.previewed != nil {
		return ReasonAlready
	}
	return w.in.judge(w.status, w.outgoing(), w.decodes())
}

// decodes reports whether a coded page may be changed. For a browser's script it always may: the answer must
// not depend on the types that the script accepts, see varyFetch.
func (w *Writer) decodes() bool { return w.kind != kindUnlikely || w.vary == varyFetch }

// allowed reports whether the page's policies allow our tags.
func (w *Writer) allowed() bool {
	policies := w.outgoing()[cspHeader]
	return len(policies) == 0 || w.guard(policies)
}

// head answers HEAD like GET, except the length, which only the body decides (RFC 9110 9.3.2 allows omitting
// it).
func (w *Writer) head() {
	if w.sniff {
		w.pass(ReasonNotHTML)
		return
	}
	w.length = -1
	w.commit(0, markerSeen)
	w.setPhase(phaseHead)
	w.reason = ReasonMethod
}

// commit sends the header of a page that grows by the given number of bytes.
func (w *Writer) commit(extra int, marker string) {
	w.fixHeader(extra, marker)
	if w.length >= 0 {
		w.promised = extra
	}
	w.down.WriteHeader(w.status)
}

// commitOpen sends the header of a page whose tags aren't known yet. It keeps the length if it can be reached
// in any case. Otherwise it omits it, unless the client then could not notice that a page was cut off.
func (w *Writer) commitOpen() {
	if w.length >= 0 && !w.scan.page() {
		if w.needsLength() {
			w.pass(ReasonLength)
			return
		}
		w.length = -1
	}
	w.commit(w.promise(), markerSeen)
	w.scan.late = w.promised > 0
	w.enterScan()
}

// needsLength reports whether only the length tells the client the end of a body.
func (w *Writer) needsLength() bool {
	return w.request.ProtoMajor == 1 && w.request.ProtoMinor == 0
}

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	if w.phase == phaseStart {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.phase == phasePass:
		return w.down.Write(p)
	case w.phase == phaseBroken:
		return 0, w.err
	case w.phase == phaseHead, len(p) == 0:
		return len(p), nil
	}
	if err := w.writePage(p); err != nil {
		w.fail(err)
		return 0, err
	}
	return len(p), nil
}

// writePage handles a piece of a possible page, in a phase that changes it.
func (w *Writer) writePage(p []byte) error {
	switch w.phase {
	case phaseFirst:
		return w.writeFirst(p)
	case phaseScan:
		return w.writeNext(p)
	case phaseFirstPacked:
		return w.unpackFirst(p)
	default:
		return w.unpack(p)
	}
}

// writeFirst decides the header by the first piece of the body.
func (w *Writer) writeFirst(p []byte) error {
	at, reason := w.decide(p)
	if reason != "" {
		w.pass(reason)
		return w.write(p)
	}
	return w.begin(p, at)
}

// decide inspects the first piece of the body. It returns the place of the tags, or what must be held back
// (see [scanner.scan]), or why the page isn't changed.
func (w *Writer) decide(p []byte) (at int, reason Reason) {
	if w.sniff {
		if reason := w.guess(p); reason != "" {
			return 0, reason
		}
	}
	at = w.scan.scan(p)
	if w.scan.verdict == undecided && w.length == int64(len(p)) {
		at = len(p) + w.scan.end() // this is the whole body
	}
	w.confirm(p, at)
	if w.scan.verdict != rejected {
		return at, ""
	}
	if w.sniff {
		delete(w.Header(), "Content-Type") // the server guesses again
	}
	return 0, w.scan.reason
}

// guess checks whether the server would take a body without a type for a page, and sets the type. It returns
// why not.
func (w *Writer) guess(p []byte) Reason {
	guess := http.DetectContentType(p)
	if !isType(guess, "text/html") {
		return ReasonNotHTML
	}
	w.Header()["Content-Type"] = []string{guess}
	w.preview() // later changes may depend on the type
	if !w.allowed() {
		delete(w.Header(), "Content-Type")
		return ReasonCSP
	}
	return ""
}

// begin sends the header and the first piece of a page that decide accepted.
func (w *Writer) begin(p []byte, at int) error {
	if w.scan.verdict == found {
		w.commit(w.size(), markerInjected)
		return w.insert(p, at)
	}
	if w.commitOpen(); w.phase == phasePass {
		return w.write(p)
	}
	return w.release(p, at)
}

// writeNext continues the search in a later piece.
func (w *Writer) writeNext(p []byte) error {
	at := w.scan.scan(p)
	w.confirm(p, at)
	switch w.scan.verdict {
	case found:
		return w.insert(p, at)
	case rejected:
		return w.giveUp(p)
	}
	return w.release(p, at)
}

// Finish ends the response. Call it once after the handler succeeded, and only then: a page that was cut off
// must not look complete. It writes the held bytes and fills the promised Content-Length.
//
// A page that had to be decoded and turned out broken or too large after it had begun is aborted: Finish
// panics with [http.ErrAbortHandler].
func (w *Writer) Finish() error {
	if w.phase == phaseBroken {
		return w.finishBroken()
	}
	if err := w.finish(); err != nil {
		w.fail(fmt.Errorf("writing the end of the page: %w", err))
		return w.finishBroken()
	}
	return nil
}

// finish writes the rest at the end.
func (w *Writer) finish() error {
	switch w.phase {
	case phaseStart:
		w.reason = ReasonEmpty
	case phaseFirst:
		w.pass(ReasonEmpty)
	case phaseScan:
		if err := w.finishScan(); err != nil {
			return err
		}
	case phaseFirstPacked, phaseScanPacked, phaseRestPacked:
		if err := w.finishPacked(); err != nil {
			return err
		}
	}
	return w.displacer.finish()
}

// finishScan ends a page whose head stayed open. A page that is shorter than its length was cut off, and
// nothing is added.
func (w *Writer) finishScan() error {
	if w.length > int64(w.scan.read) {
		w.enterRest()
		w.reason = ReasonBroken
		return w.join(nil)
	}
	at := w.scan.end()
	w.confirm(nil, at)
	if w.scan.verdict == found {
		return w.insert(nil, at)
	}
	return w.giveUp(nil)
}
