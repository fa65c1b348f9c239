package injector

import (
	"errors"
	"fmt"
	"io"
)

// errUntouched ends the decoding of a page that isn't to be changed.
var errUntouched = errors.New("the page is not to be changed")

// unpackFirst takes a piece of a page that came compressed although we asked for it
// plain. Until the first decoded bytes have decided that it is changed, the
// encoded ones are kept, so that it can pass as it is.
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

// unpack takes a later piece.
func (w *Writer) unpack(p []byte) error {
	return w.unpacked(w.decoder.feed(p, w.emit))
}

// emit takes a piece of the decoded page. The first ones are gathered: an error
// soon after the beginning need not break the page.
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

// beginDecoded decides by the first decoded bytes. The length of the page is
// known if they are all.
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

// untouched passes the page as it came: what was kept of it, and p.
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

// unpacked notes what went wrong after a decoded page has begun.
func (w *Writer) unpacked(err error) error {
	if err == nil {
		return nil
	}
	if w.decoder.err != nil {
		w.reason = ReasonBroken
	}
	return fmt.Errorf("decoding the page: %w", err)
}

// finishPacked feeds the end to the decoder and writes what is missing.
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
	w.enter(phasePass)
	return nil
}
