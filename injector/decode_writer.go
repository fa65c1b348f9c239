package injector

import (
	"errors"
	"fmt"
	"net/http"
)

// errUntouched ends the decoding of a page that isn't to be changed.
var errUntouched = errors.New("the page is not to be changed")

// writeEncoded is Write for a page that came compressed although we asked for it
// plain. Until the first decoded bytes have decided that it is changed, the
// encoded ones are kept, so that it can pass as it is.
func (w *Writer) writeEncoded(p []byte) error {
	if w.decoder == nil {
		w.decoder = w.in.newDecoder(w.request.Context(), w.codec)
	}
	d := w.decoder
	complete := w.phase == phasePending && w.length == int64(len(d.raw)+len(p))
	err := d.feed(p, w.emit)
	if err == nil && complete {
		err = d.feed(nil, w.emit)
	}
	if w.phase != phasePending {
		return w.decoded(err)
	}
	if err == nil && len(d.first) > 0 {
		err = w.beginDecoded(d.first, complete)
	}
	switch {
	case w.phase != phasePending:
		return w.decoded(err)
	case err == nil && len(d.raw)+len(p) <= maxRaw && !complete:
		d.raw = append(d.raw, p...)
		return nil
	case err == nil && complete:
		w.scan.reason, err = ReasonEmpty, errUntouched
	}
	return w.untouched(err, p)
}

// emit takes a piece of the decoded page. The first ones are gathered: an error
// soon after the beginning need not break the page.
func (w *Writer) emit(chunk []byte) error {
	if w.phase != phasePending {
		return w.writePlain(chunk)
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
	length := w.length
	w.length = -1
	if complete {
		w.length = int64(len(first))
	}
	at, reason := w.decide(first)
	if reason != "" {
		w.length, w.scan.reason = length, reason
		return errUntouched
	}
	w.decoder.raw, w.decoder.first = nil, nil
	return w.begin(first, at)
}

// untouched passes the page as it came: what was kept of it, and p.
func (w *Writer) untouched(err error, p []byte) error {
	reason := ReasonEncoded
	if errors.Is(err, errUntouched) {
		reason = w.scan.reason
	}
	raw := w.decoder.raw
	w.endDecoder()
	w.pass(reason)
	if err := w.write(raw); err != nil {
		return err
	}
	return w.write(p)
}

// decoded notes what went wrong after a decoded page has begun.
func (w *Writer) decoded(err error) error {
	if err == nil {
		return nil
	}
	if w.decoder.err != nil {
		w.reason = ReasonBroken
	}
	return fmt.Errorf("decoding the page: %w", err)
}

// finishEncoded feeds the end to the decoder. A page that has begun and turns out
// broken is aborted as an upstream's failure would be: it must not look complete,
// and there is no other way to say so.
func (w *Writer) finishEncoded() error {
	if w.decoder == nil {
		w.codec = codecNone
		return nil
	}
	defer w.endDecoder()
	d := w.decoder
	err := d.feed(nil, w.emit)
	if w.phase == phasePending {
		switch {
		case err == nil && len(d.first) == 0:
			w.scan.reason, err = ReasonEmpty, errUntouched
		case err == nil:
			err = w.beginDecoded(d.first, true)
		}
	}
	switch {
	case err != nil && w.phase == phasePending:
		return w.untouched(err, nil)
	case d.err != nil:
		_ = w.decoded(err)
		panic(http.ErrAbortHandler)
	}
	return err
}

// endDecoder lets what is written from now on pass.
func (w *Writer) endDecoder() {
	if w.decoder != nil {
		w.decoder.close()
	}
	w.decoder, w.codec = nil, codecNone
}
