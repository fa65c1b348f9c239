package injector

import "net/http"

// phase is where a response stands. [Writer.enter] alone goes from one to the next,
// and which may follow which is in transitions: what a phase needs of the Writer ends
// with it, so that nothing of an early exit acts on what comes later.
type phase uint8

const (
	phaseStart       phase = iota // no final status yet
	phaseFirst                    // the header waits for the body's first bytes
	phaseFirstPacked              // it waits for the first decoded ones; what came so far is kept
	phaseScan                     // the header is out, the place of the tags isn't known
	phaseScanPacked               // the same, and what comes is decoded
	phaseRestPacked               // what comes is decoded, and passes
	phaseHead                     // the header of a HEAD is out: there is no body
	phasePass                     // everything passes as it comes
	phaseBroken                   // a page that has begun can't go on: nothing follows
	numPhases
)

// transitions has for each phase those that may follow it.
var transitions = [numPhases][]phase{
	phaseStart:       {phaseFirst, phaseFirstPacked, phaseScan, phaseHead, phasePass},
	phaseFirst:       {phaseScan, phasePass},
	phaseFirstPacked: {phaseScanPacked, phaseRestPacked, phasePass},
	phaseScan:        {phasePass, phaseBroken},
	phaseScanPacked:  {phaseRestPacked, phaseBroken},
	phaseRestPacked:  {phasePass, phaseBroken},
	phasePass:        {phaseBroken},
}

// packed reports whether the phase has a decoder.
func (p phase) packed() bool {
	return p == phaseFirstPacked || p == phaseScanPacked || p == phaseRestPacked
}

// enter goes to the next phase. The decoder ends with the phases that have one.
func (w *Writer) enter(next phase) {
	if w.in.entered != nil {
		w.in.entered(w.phase, next)
	}
	w.phase = next
	if w.decoder != nil && !next.packed() {
		w.decoder.close()
		w.decoder = nil
	}
}

// enterScan goes on to look for the tags' place, now that the header is out.
func (w *Writer) enterScan() {
	if w.phase.packed() {
		w.enter(phaseScanPacked)
	} else {
		w.enter(phaseScan)
	}
}

// enterRest goes on to pass what comes, as that place has been dealt with.
func (w *Writer) enterRest() {
	if w.phase.packed() {
		w.enter(phaseRestPacked)
	} else {
		w.enter(phasePass)
	}
}

// pass sends the header as it came and gets out of the way.
func (w *Writer) pass(reason Reason) {
	w.enter(phasePass)
	w.reason = reason
	if reason == ReasonFragment || reason == ReasonEncoded && !w.decodes() {
		w.addVary(w.Header()) // a navigation's answer would be another
	}
	w.down.WriteHeader(w.status)
	if w.flushed {
		_ = http.NewResponseController(w.down).Flush()
	}
}

// fail ends a page that can't go on. What is written later is refused: a part of it
// is lost, and the rest must not look like all.
func (w *Writer) fail(err error) {
	w.enter(phaseBroken)
	w.err = err
}

// finishBroken ends the response of a page that can't go on. One whose body was
// broken is aborted as an upstream's failure would be: it must not look complete,
// and there is no other way to say so.
func (w *Writer) finishBroken() error {
	if w.reason == ReasonBroken {
		panic(http.ErrAbortHandler)
	}
	return w.err
}
