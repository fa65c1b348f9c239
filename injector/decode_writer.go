package injector

import (
	"errors"
	"fmt"
	"io"
)

// errUntouched ends the decoding of a page that must not be changed.
var errUntouched = errors.New("the page is not to be changed")

// unpackFirst handles a piece of a page that is compressed although we asked for identity. It keeps the
// encoded bytes until the first decoded ones have decided, so that the page can still pass unchanged.
func (w *Writer) unpackFirst(p []byte) error {
	if w.decoder == nil {
		w.decoder = w.in.newDecoder(w.request.Context(), w.codec)
	}
	d := w.decoder
	complete := w.length == int64(len(d.raw)+len(p))
	err := d.feed(p, w.emit)
	if err == nil && complete {
		err = d.feed(nil, w.emit)
	}
	if err == nil && w.phase == phaseFirstPacked && len(d.first) > 0 {
		err = w.beginDecoded(d.first, complete)
	}
	switch {
	case w.phase != phaseFirstPacked:
		return w.unpacked(err)
	case err == nil && len(d.raw)+len(p) <= maxRaw && !complete:
		d.raw = append(d.raw, p...)
		return nil
	case err == nil && complete:
		w.scan.reason, err = ReasonEmpty, errUntouched
	}
	return w.untouched(err, p)
}

// unpack handles a later piece.
func (w *Writer) unpack(p []byte) error {
	return w.unpacked(w.decoder.feed(p, w.emit))
}

// emit handles a piece of the decoded page. It collects the first ones: an early error need not break the
// page.
func (w *Writer) emit(chunk []byte) error {
	switch w.phase {
	case phaseScanPacked:
		return w.writeNext(chunk)
	case phaseRestPacked:
		return w.write(chunk)
	}
	d := w.decoder
	if len(d.first) == 0 && len(chunk) >= readSize {
		return w.beginDecoded(chunk, false)
	}
	if d.first = append(d.first, chunk...); len(d.first) < readSize {
		return nil
	}
	return w.beginDecoded(d.first, false)
}

// beginDecoded decides by the first decoded bytes. If they are all, the page's length is known.
func (w *Writer) beginDecoded(first []byte, complete bool) error {
	packed := w.length
	w.length = -1
	if complete {
		w.length = int64(len(first))
	}
	at, reason := w.decide(first)
	if reason == "" && packed >= 0 && !complete && w.needsLength() {
		reason = ReasonLength
	}
	if reason != "" {
		w.length, w.scan.reason = packed, reason
		return errUntouched
	}
	d := w.decoder
	d.raw, d.first, d.length = nil, nil, packed
	return w.begin(first, at)
}

// untouched passes the page as it came: the kept bytes and p.
func (w *Writer) untouched(err error, p []byte) error {
	reason := ReasonEncoded
	if errors.Is(err, errUntouched) {
		reason = w.scan.reason
	}
	raw := w.decoder.raw
	w.pass(reason)
	if err := w.write(raw); err != nil {
		return err
	}
	return w.write(p)
}

// unpacked records an error after a decoded page has begun.
func (w *Writer) unpacked(err error) error {
	if err == nil {
		return nil
	}
	if w.decoder.err != nil {
		w.reason = ReasonBroken
	}
	return fmt.Errorf("decoding the page: %w", err)
}

// finishPacked feeds the end to the decoder and writes the rest.
func (w *Writer) finishPacked() error {
	d := w.decoder
	if d == nil {
		w.pass(ReasonEmpty)
		return nil
	}
	if d.length > d.inLen {
		d.err = io.ErrUnexpectedEOF
		return w.unpacked(d.err)
	}
	err := d.feed(nil, w.emit)
	if w.phase == phaseFirstPacked {
		switch {
		case err == nil && len(d.first) == 0:
			w.scan.reason, err = ReasonEmpty, errUntouched
		case err == nil:
			err = w.beginDecoded(d.first, true)
		}
		if w.phase == phaseFirstPacked {
			return w.untouched(err, nil)
		}
	}
	if err != nil {
		return w.unpacked(err)
	}
	if w.phase == phaseScanPacked {
		if err := w.finishScan(); err != nil {
			return err
		}
	}
	w.setPhase(phasePass)
	return nil
}
