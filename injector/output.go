package injector

import (
	"fmt"
	"io"
	"net/http"
)

// confirm checks the page again once the place is known, at the given offset in the piece p. It may still
// reject the page.
func (w *Writer) confirm(p []byte, at int) {
	if w.scan.verdict == found && w.scan.metaCSP {
		w.guardMeta()
	}
	if n := w.size(); n > 0 && w.scan.displaces(p, at, n) {
		w.scan.reject(ReasonCharset)
	}
}

// size returns the length of this page's tags once their place is found. It rejects the page if they need a
// host and the request has none that is usable.
func (w *Writer) size() int {
	if w.scan.verdict != found {
		return 0
	}
	if w.scan.baseForeign && w.origin == "" {
		host := safeHost(w.request)
		if host == "" {
			w.scan.reject(ReasonHost)
			return 0
		}
		w.origin = w.scheme() + "://" + host
	}
	n := w.in.script.size(w.origin, w.csp.nonce)
	if w.links() {
		n += w.in.manifest.size(w.origin, "")
	}
	return n
}

// links reports whether the manifest's link is added: the page's own link comes first and wins, and a blocked
// one would only cause console errors.
func (w *Writer) links() bool { return !w.scan.hasManifest && !w.csp.noLink }

// promise returns the length of the longest tags that this request may need.
func (w *Writer) promise() int {
	n, origin := w.in.script.size("", w.csp.nonce), 0
	if host := safeHost(w.request); host != "" {
		origin = len("https://") + len(host)
	}
	if n += origin; w.links() {
		n += w.in.manifest.size("", "") + origin
	}
	return n
}

// tags appends this page's tags, with the unused rest of the promised length as spaces in the last one. A
// rejected page gets all of it as bytes without meaning.
func (w *Writer) tags(b []byte) []byte {
	if w.scan.reason != "" {
		return w.scan.filler(b, w.promised)
	}
	pad := 0
	if w.length >= 0 {
		pad = w.promised - w.size()
	}
	if w.links() {
		b = w.in.manifest.append(b, w.origin, "", 0)
	}
	return w.in.script.append(b, w.origin, w.csp.nonce, pad)
}

// insert writes p with the tags, or their replacement, at the offset at; if at is negative, before the held
// bytes. All is sent in one Write if it fits into a buffer: a compressing writer below decides by the first
// Write.
func (w *Writer) insert(p []byte, at int) error {
	w.enterRest()
	if w.reason = w.scan.reason; w.reason == "" {
		w.reason = ReasonInjected
	}
	buf := w.in.buffers.Get().(*[]byte)
	defer w.in.buffers.Put(buf)
	g := gather{w: w.down, b: (*buf)[:0]}
	if at >= 0 {
		g.add(w.held[:w.heldLen])
		g.add(p[:at])
		p = p[at:]
	}
	g.room(w.size() + w.promised)
	g.b = w.tags(g.b)
	writePage := g.add
	if w.in.opts.Displaces != nil && w.reason == ReasonInjected && !w.scan.xml {
		w.displacer = w.newDisplacer()
		writePage = func(p []byte) { w.displacer.pass(p, g.add) }
		w.down = w.displacer
	}
	if at < 0 {
		writePage(w.held[:w.heldLen])
	}
	writePage(p)
	return g.flush()
}

// release writes p up to the offset at, after the held bytes, and holds back the rest.
func (w *Writer) release(p []byte, at int) error {
	if at >= 0 {
		if err := w.join(p[:at]); err != nil {
			return err
		}
		p = p[at:]
	}
	w.heldLen += uint8(copy(w.held[w.heldLen:], p))
	return nil
}

// giveUp passes everything on: there will be no tags. If they were promised, this is the document's end.
func (w *Writer) giveUp(p []byte) error {
	if w.promised > 0 {
		return w.insert(p, len(p))
	}
	w.enterRest()
	w.reason = w.scan.reason
	return w.join(p)
}

// join writes the held bytes and p, in one piece if there are held bytes.
func (w *Writer) join(p []byte) error {
	if w.heldLen == 0 {
		return w.write(p)
	}
	buf := w.in.buffers.Get().(*[]byte)
	defer w.in.buffers.Put(buf)
	g := gather{w: w.down, b: (*buf)[:0]}
	g.add(w.held[:w.heldLen])
	g.add(p)
	w.heldLen = 0
	return g.flush()
}

// write passes p on, if there is any.
func (w *Writer) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := w.down.Write(p)
	return err
}

// gather collects pieces in a buffer and writes it when it is full.
type gather struct {
	w   io.Writer
	b   []byte // keeps its capacity unless the tags are larger
	err error
}

func (g *gather) add(p []byte) {
	n := copy(g.b[len(g.b):cap(g.b)], p)
	g.b = g.b[:len(g.b)+n]
	if n == len(p) || g.err != nil {
		return
	}
	if g.err = g.flush(); g.err == nil {
		_, g.err = g.w.Write(p[n:])
	}
}

// room makes room for n more bytes.
func (g *gather) room(n int) {
	if cap(g.b)-len(g.b) < n {
		g.err = g.flush()
	}
}

func (g *gather) flush() error {
	if g.err != nil || len(g.b) == 0 {
		return g.err
	}
	_, err := g.w.Write(g.b)
	g.b = g.b[:0]
	return err
}

// ReadFrom implements [io.ReaderFrom]. Wrappers below may have it, and would pass the body around Write. Once
// nothing more can change, the wrapped writer reads the rest, possibly with sendfile.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	if w.phase != phasePass {
		n, done, err := w.readPieces(r)
		if done || err != nil {
			return n, err
		}
		total = n
	}
	n, err := copyTo(w.down, r)
	return total + n, err
}

// copyTo copies r to w, with w's own ReadFrom if it has one.
func copyTo(w io.Writer, r io.Reader) (int64, error) {
	if rf, ok := w.(io.ReaderFrom); ok {
		return rf.ReadFrom(r)
	}
	return io.Copy(writerOnly{w}, r)
}

// readPieces reads through Write until nothing more can change, or to the end of r, which done reports.
func (w *Writer) readPieces(r io.Reader) (total int64, done bool, err error) {
	buf := w.in.buffers.Get().(*[]byte)
	defer w.in.buffers.Put(buf)
	for w.phase != phasePass {
		n, readErr := r.Read((*buf)[:readSize])
		if n > 0 {
			m, err := w.Write((*buf)[:n])
			total += int64(m)
			if err != nil {
				return total, false, err
			}
		}
		if readErr == io.EOF {
			return total, true, nil
		}
		if readErr != nil {
			return total, false, readErr
		}
	}
	return total, false, nil
}

// writerOnly hides all methods except Write.
type writerOnly struct{ io.Writer }

// FlushError sends the header, if it waits, and everything written so far, except the few bytes of an
// unfinished tag name. [http.ResponseController] calls it.
func (w *Writer) FlushError() error {
	if w.phase == phaseStart {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.phase == phaseFirstPacked:
		w.flushed = true // flush later, if the page passes as it is
		return nil
	case w.phase == phaseFirst && w.sniff:
		w.pass(ReasonNotHTML)
	case w.phase == phaseFirst:
		w.commitOpen()
	}
	if err := http.NewResponseController(w.down).Flush(); err != nil {
		return fmt.Errorf("flushing the page: %w", err)
	}
	return nil
}

// Flush implements [http.Flusher].
func (w *Writer) Flush() { _ = w.FlushError() }

// Push implements [http.Pusher] if the wrapped writer does.
func (w *Writer) Push(target string, opts *http.PushOptions) error {
	return push(w.down, target, opts)
}

func push(w http.ResponseWriter, target string, opts *http.PushOptions) error {
	if p, ok := w.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}
