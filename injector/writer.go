package injector

import (
	"fmt"
	"net/http"
)

// phase is how far a response has come.
type phase uint8

const (
	phaseStart   phase = iota // no final status yet
	phasePending              // the status is known; the header waits for the body's first bytes
	phaseScan                 // the header is out, the insertion point is not known yet
	phaseHead                 // the answer to HEAD: no body
	phasePass                 // everything that follows passes
)

// Writer is an [http.ResponseWriter] that changes the page written to it. It
// sends the header when the first bytes of the body are known, and everything
// else as soon as it comes. It is for one request and one goroutine.
//
// If a handler fails half way, just don't call [Writer.Finish]: what was written
// has passed, and nothing is added.
type Writer struct {
	down     http.ResponseWriter
	in       *Injector
	request  *http.Request
	values   [numValues]string    // backs the header values that set sets
	client   [numChanged][]string // the request's headers before PrepareRequest
	length   int64                // the upstream's Content-Length, or -1
	status   int
	owed     int // bytes promised on top of length and not yet used
	reason   Reason
	csp      cspState
	later    Later
	outlook  http.Header // as later will have it go out; nil where nothing changes it
	decoder  *decoder
	scan     scanner
	held     [maxHeld]byte // the first heldLen of them wait for the next piece
	heldLen  uint8
	phase    phase
	kind     kind
	codec    codec // of the body as it comes, if it is to be decoded
	sniff    bool  // Content-Type is to be guessed from the first bytes
	prepared bool  // client is set
}

// NewWriter wraps w for the answer to r, which [Injector.Classify] takes for a
// possible page. r is the request as it came.
func (in *Injector) NewWriter(w http.ResponseWriter, r *http.Request) *Writer {
	iw := &Writer{down: w, in: in, request: r, length: -1}
	iw.kind, _ = in.kind(r)
	iw.scan.needWhole = iw.kind != kindDocument
	iw.scan.needTags = swapsWholePages(r.Header)
	iw.scan.early = iw.in.opts.Blocking
	iw.scan.marker = in.script[1]
	return iw
}

// Later is what changes a header after the Writer has passed it on, as a proxy does
// with what it defers until the header goes out.
type Later interface {
	// Preview returns the header as it would go out if it were h. It leaves h alone.
	Preview(status int, h http.Header) http.Header
	// Keep has the field go out with these values, whatever is done to it later.
	Keep(field string, values []string)
}

// SetLater has the Writer judge pages by the header that goes out. Call it before
// the response begins.
func (w *Writer) SetLater(l Later) { w.later = l }

// look takes a look at the header that will go out.
func (w *Writer) look() {
	if w.later != nil {
		w.outlook = w.later.Preview(w.status, w.Header())
	}
}

// outgoing returns the header that will go out, to be read only.
func (w *Writer) outgoing() http.Header {
	if w.outlook != nil {
		return w.outlook
	}
	return w.Header()
}

// setPolicies puts the extended policies into the header.
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

// Reason tells what became of the response. It is "" until that is known, which
// is after [Writer.Finish] at the latest.
func (w *Writer) Reason() Reason { return w.reason }

// WriteHeader implements [http.ResponseWriter]. Informational answers pass; the
// final one is held until the first Write or flush if it may be a page.
func (w *Writer) WriteHeader(status int) {
	if status >= 100 && status <= 199 && status != http.StatusSwitchingProtocols {
		w.down.WriteHeader(status)
		return
	}
	if w.phase == phasePending {
		return // superfluous
	}
	if w.phase != phaseStart {
		w.down.WriteHeader(status) // superfluous: let the server complain
		return
	}
	h := w.Header()
	w.status = status
	w.look()
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
	case isIncremental(h) && !w.sniff && w.codec == codecNone:
		w.commitOpen()
	default:
		w.phase = phasePending
	}
}

// judge decides by status and header whether the response may be changed; "" if so.
// The header that goes out counts, but for the mark of another Writer, which may
// be meant to go no further.
func (w *Writer) judge() Reason {
	if len(w.Header()[Marker]) > 0 && w.outlook != nil {
		return ReasonAlready
	}
	return w.in.judge(w.status, w.outgoing(), w.kind)
}

// allowed reports whether the page's policies allow our tags.
func (w *Writer) allowed() bool {
	policies := w.outgoing()[cspHeader]
	return len(policies) == 0 || w.guard(policies)
}

// head answers HEAD as a GET would be, but for the length, which only the body
// decides (RFC 9110 9.3.2 lets it be omitted).
func (w *Writer) head() {
	if w.sniff {
		w.pass(ReasonNotHTML)
		return
	}
	w.length = -1
	w.commit(0)
	w.phase, w.reason = phaseHead, ReasonMethod
}

// pass sends the header as it is and gets out of the way.
func (w *Writer) pass(reason Reason) {
	w.phase, w.reason = phasePass, reason
	w.down.WriteHeader(w.status)
}

// commit sends the header of a page that grows by the given number of bytes.
func (w *Writer) commit(extra int) {
	w.fixHeader(extra)
	if w.length >= 0 {
		w.owed = extra
	}
	w.down.WriteHeader(w.status)
}

// commitOpen sends the header of a page whose tags aren't known yet. Its length is
// kept where that can be made good whatever comes. Else it is left out, unless that
// would keep a client from noticing that a page was cut off.
func (w *Writer) commitOpen() {
	if w.length >= 0 && !w.scan.page() {
		if w.request.ProtoMajor == 1 && w.request.ProtoMinor == 0 {
			w.pass(ReasonLength)
			return
		}
		w.length = -1
	}
	w.commit(w.promise())
	w.scan.late = w.owed > 0
	w.phase = phaseScan
}

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	if w.phase == phaseStart {
		w.WriteHeader(http.StatusOK)
	}
	var err error
	switch {
	case w.phase == phaseHead, len(p) == 0:
		return len(p), nil
	case w.codec != codecNone:
		err = w.writeEncoded(p)
	case w.phase >= phasePass:
		return w.down.Write(p)
	default:
		err = w.writePlain(p)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// writePlain takes a piece of the page, decoded if it had to be.
func (w *Writer) writePlain(p []byte) error {
	switch w.phase {
	case phasePending:
		return w.writeFirst(p)
	case phaseScan:
		return w.writeNext(p)
	}
	return w.write(p)
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

// decide looks at the first piece of the body. It returns where the tags go or
// what is to be held back, see [scanner.scan], or why the page isn't changed.
func (w *Writer) decide(p []byte) (at int, reason Reason) {
	if w.sniff {
		guess := http.DetectContentType(p)
		if !isType(guess, "text/html") {
			return 0, ReasonNotHTML
		}
		w.Header()["Content-Type"] = []string{guess}
		w.look() // what is done later may depend on the type
		if !w.allowed() {
			delete(w.Header(), "Content-Type")
			return 0, ReasonCSP
		}
	}
	at = w.scan.scan(p)
	if w.scan.verdict == undecided && w.length == int64(len(p)) {
		at = len(p) + w.scan.end() // the whole body is here
	}
	w.settle(p, at)
	if w.scan.verdict == rejected {
		return 0, w.scan.reason
	}
	return at, ""
}

// begin sends the header and the first piece of a page that decide accepted.
func (w *Writer) begin(p []byte, at int) error {
	if w.scan.verdict == found {
		w.commit(w.size())
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
	w.settle(p, at)
	switch w.scan.verdict {
	case found:
		return w.insert(p, at)
	case rejected:
		return w.giveUp(p)
	}
	return w.release(p, at)
}

// Finish ends the response. Call it once after the handler succeeded, and only
// then: a page that was cut off must not look complete. It writes what was held
// back and what was promised in Content-Length.
//
// A page that had to be decoded and turned out broken or too large after it had
// begun is aborted: Finish panics with [http.ErrAbortHandler].
func (w *Writer) Finish() error {
	var err error
	if w.codec != codecNone {
		err = w.finishEncoded()
	}
	if err == nil {
		err = w.finishPlain()
	}
	if w.phase != phaseStart {
		w.phase = phasePass
	}
	if err != nil {
		return fmt.Errorf("writing the end of the page: %w", err)
	}
	return nil
}

// finishPlain writes what is missing at the end.
func (w *Writer) finishPlain() (err error) {
	switch w.phase {
	case phaseStart:
		w.reason = ReasonEmpty
	case phasePending:
		w.pass(ReasonEmpty)
	case phaseScan:
		at := w.scan.end()
		w.settle(nil, at)
		if w.scan.verdict == found {
			err = w.insert(nil, at)
		} else {
			err = w.giveUp(nil)
		}
	}
	return err
}
