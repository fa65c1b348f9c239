package injector

import "net/http"

// phase is the state of a response. Only [Writer.setPhase] changes it, and transitions has the allowed changes.
// What a phase needs of the Writer ends with it, so that an early exit leaves nothing that could act later.
type phase uint8

const (
	phaseStart       phase = iota // no final status yet
	phaseFirst                    // the header waits for the body's first bytes
	phaseFirstPacked              // it waits for the first decoded bytes; what came so far is kept
	phaseScan                     // the header is sent, the place of the tags isn't known
	phaseScanPacked               // the same, and the input is decoded
	phaseRestPacked               // the input is decoded, and passes
	phaseHead                     // the header of a HEAD is sent: there is no body
	phasePass                     // everything passes unchanged
	phaseBroken                   // a page that has begun can't continue: nothing follows
	numPhases
)

// transitions has the phases that may follow each phase.
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

// setPhase changes to the next phase. The decoder ends with the phases that use one.
func (w *Writer) setPhase(next phase) {
	if w.in.onPhase != nil {
		w.in.onPhase(w.phase, next)
	}
	w.phase = next
	if w.decoder != nil && !next.packed() {
		w.decoder.close()
		w.decoder = nil
	}
}

// enterScan continues with the search for the tags' place, after the header is sent.
func (w *Writer) enterScan() {
	if w.phase.packed() {
		w.setPhase(phaseScanPacked)
	} else {
		w.setPhase(phaseScan)
	}
}

// enterRest continues with passing the input, after that place is handled.
func (w *Writer) enterRest() {
	if w.phase.packed() {
		w.setPhase(phaseRestPacked)
	} else {
		w.setPhase(phasePass)
	}
}

// pass sends the header unchanged and stops intervening.
func (w *Writer) pass(reason Reason) {
	w.setPhase(phasePass)
	w.reason = reason
	if reason == ReasonFragment || reason == ReasonEncoded && !w.decodes() {
		w.addVary(w.Header()) // a navigation would get another answer
	}
	w.down.WriteHeader(w.status)
	if w.flushed {
		_ = http.NewResponseController(w.down).Flush()
	}
}

// fail ends a page that can't continue. Later writes are refused: a part is lost, and the rest must not look
// complete.
func (w *Writer) fail(err error) {
	w.setPhase(phaseBroken)
	w.err = err
}

// finishBroken ends the response of a page that can't continue. A response with a broken body is aborted, as
// after an upstream's failure: it must not look complete, and there is no other way to signal that.
func (w *Writer) finishBroken() error {
	if w.reason == ReasonBroken {
		panic(http.ErrAbortHandler)
	}
	return w.err
}
