package injector

import (
	"io"
	"net/http"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/injector/cachecontrol"
)

// The request headers that [Injector.Classify] and a Writer depend on, for caches (RFC 9110 12.5.5). A
// destination other than a script's fetch decides alone.
//
// The Cache API of service workers matches by these fields as well, as far as scripts see them. Accept is one
// of them, and it differs between a navigation, the worker's own fetch and a look-up by URL: a page whose
// Vary names it would be stored and not found again. So Accept is only named to clients without Fetch
// Metadata.
const (
	varyUpgrade = "Connection, Upgrade"
	varyDest    = "Sec-Fetch-Dest"
	varyFetch   = varyDest + ", Sec-Purpose, Turbo-Frame, X-Requested-With, X-PJAX, X-Up-Target, HX-Request, HX-Boosted, HX-History-Restore-Request"
	varyCoded   = varyFetch + ", Accept-Encoding"
	varyAll     = varyFetch + ", Accept, Accept-Encoding"
)

// varyOn returns the request's fields that the decision depended on, unless it asks for an upgrade.
func varyOn(h http.Header) string {
	switch dest := first(h["Sec-Fetch-Dest"]); {
	case dest != "" && dest != "empty":
		return varyDest
	case dest != "" && acceptsAnything(h["Accept"]):
		return varyFetch
	case dest != "":
		return varyCoded
	}
	return varyAll
}

// addVary names the fields that the decision depended on, if a cache may keep the answer.
func (w *Writer) addVary(h http.Header) {
	out := w.outgoing()
	if !needsVary(out, w.vary) {
		return
	}
	had := h["Vary"]
	if later := out["Vary"]; w.later != nil && !slices.Equal(had, later) {
		// An encoder in between adds its field before that, without effect.
		w.later.Keep("Vary", append(later[:len(later):len(later)], w.vary, "Accept-Encoding"))
	}
	if len(had) == 0 {
		w.set(h, slotVary, "Vary", w.vary)
	} else {
		h["Vary"] = append(had[:len(had):len(had)], w.vary)
	}
}

// needsVary reports whether the answer must name fields in Vary: not if no cache keeps it, and not if it
// varies by everything or by just these fields.
func needsVary(h http.Header, fields string) bool {
	vary := h["Vary"]
	return !cachecontrol.NoStore(h) && (len(vary) == 0 || !hasToken(vary, "*") && !hasToken(vary, fields))
}

// Bystander returns a writer for the answer to a request that [Injector.Classify] excludes. If the answer
// would be changed for a navigation, it names for caches what decided; everything passes.
func (in *Injector) Bystander(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return w // no cache shares this answer
	}
	b := &bystander{ResponseWriter: w, in: in, vary: varyUpgrade}
	if !isUpgrade(r.Header) {
		b.vary = varyOn(r.Header)
	}
	return b
}

type bystander struct {
	http.ResponseWriter
	in   *Injector
	vary string
	sent bool // the final header
}

// Unwrap returns the wrapped writer, for [http.ResponseController].
func (b *bystander) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// send is called before the final header goes out.
func (b *bystander) send(status int) {
	if b.sent {
		return
	}
	b.sent = true
	h := b.Header()
	if b.in.judge(status, h, true) == "" && needsVary(h, b.vary) {
		h["Vary"] = append(h["Vary"][:len(h["Vary"]):len(h["Vary"])], b.vary)
	}
}

// WriteHeader implements [http.ResponseWriter].
func (b *bystander) WriteHeader(status int) {
	if status >= http.StatusOK {
		b.send(status)
	}
	b.ResponseWriter.WriteHeader(status)
}

// Write implements [io.Writer].
func (b *bystander) Write(p []byte) (int, error) {
	b.send(http.StatusOK)
	return b.ResponseWriter.Write(p)
}

// ReadFrom implements [io.ReaderFrom]: the wrapped writer may use sendfile.
func (b *bystander) ReadFrom(r io.Reader) (int64, error) {
	b.send(http.StatusOK)
	return copyTo(b.ResponseWriter, r)
}

// FlushError sends the header, if nothing was sent, and flushes.
func (b *bystander) FlushError() error {
	b.send(http.StatusOK)
	return http.NewResponseController(b.ResponseWriter).Flush()
}

// Flush implements [http.Flusher].
func (b *bystander) Flush() { _ = b.FlushError() }

// Push implements [http.Pusher] if the wrapped writer does.
func (b *bystander) Push(target string, opts *http.PushOptions) error {
	return push(b.ResponseWriter, target, opts)
}
