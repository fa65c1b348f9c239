package injector

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// endings are ways for a document to end within its head, in one piece after the header was sent.
var endings = []string{
	"<", "</", "<!", "<!-", "<!--", "<!---", "<!--x", "<!--x-", "<!--x--", "<!--x--!", "<!--x--!-", "<!--x<!-", "<!--x<!--", "<!--x-->",
	"<!d", "<!doctyp", "<!doctype", "<!doctype html", `<!doctype html public "x`, "<!doctype html>", "<?", "<?x", "</ ", "</ x", "<![CDATA[x", "<![CDATA[x]]",
	"<m", "<meta", "<meta ", "<meta a", "<meta a ", "<meta a=", "<meta a= ", "<meta a=b", "<meta a=b ", `<meta a="b`, "<meta a='b", "<meta a='b'", "<meta /",
	"</t", "</title", "</title ", "</abcdefghijklmnop", "</abcdefghijklmnop ", "</x a='b",
	"<title>", "<title>x", "<title><", "<title></", "<title></t", "<title></title", "<title></titlex", "<title></title ", "<title></title a=", "<title>&am", "<title>&amp",
	"<style>x", "<style>x<", "<style></styl", "<style></style", "<style></style\n", "<noscript>x", "<noscript><p", "<noframes>x", "<noframes></nofram",
	"<script>", "<script>x", "<script>x<", "<script></", "<script></scr", "<script></script", "<script></script ", "<script><!", "<script><!-", "<script><!--",
	"<script><!--x", "<script><!--x-", "<script><!--x--", "<script><!--<", "<script><!--<s", "<script><!--<script", "<script><!--</scr", "<script><!--</script",
	"<script><!-- --><x", "<script><!--x</script>", "<script><!--<script></script>", "<title>x</title>", " ", "",
	"text", "&amp", "<p>x", "</head><textarea>x", "<body a='x", "<plaintext>x", "<script src='/_webpush/sdk.js'></script><textarea>",
	"<html amp><title>x", "<html amp><textarea>x", "<base href=//x><xmp>", "<meta http-equiv=content-security-policy content=\"script-src 'none'\"><textarea>",
	"\x00<textarea>x", "<template><textarea>",
}

// TestFilling: whatever a page turns out to be after its header promised space for our tags, the filler
// changes nothing.
func TestFilling(t *testing.T) {
	in := newInjector(t, Options{})
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, begin := range []string{"<html>", "<!doctype html><html><head>", "<meta charset=utf-8>", "<html><title>x</title>"} {
		for _, end := range endings {
			for range 3 {
				doc := begin + strings.Repeat("<meta>", rnd.IntN(3)) + end
				if err := fillsWell(in, doc, len(begin), rnd); err != nil {
					t.Errorf("%q: %v", doc, err)
				}
			}
		}
	}
}

// fillsWell sends a document in pieces, the first one of n bytes, with a length.
func fillsWell(in *Injector, doc string, n int, rnd *rand.Rand) error {
	rec := newRecorder()
	w := in.NewWriter(rec, navigation())
	w.request.Host = `"`
	w.Header().Set("Content-Type", htmlType)
	w.Header().Set("Content-Length", strconv.Itoa(len(doc)))
	for off := 0; off < len(doc); n = 1 + rnd.IntN(30) {
		n = min(n, len(doc)-off)
		if _, err := w.Write([]byte(doc[off : off+n])); err != nil {
			return err
		}
		off += n
	}
	if err := w.Finish(); err != nil {
		return err
	}
	got := rec.Body.Bytes()
	if length := rec.Header().Get("Content-Length"); length != strconv.Itoa(len(got)) {
		return fmt.Errorf("%d bytes, Content-Length %q", len(got), length)
	}
	if w.Reason() == ReasonInjected {
		return compareDOM([]byte(doc), got, bytes.Contains(got, []byte(testSnippet.Manifest)))
	}
	return sameTree([]byte(doc), got)
}

// sameTree compares two documents without a last tag that is open at the end: browsers drop it (HTML 13.2.5,
// "eof-in-tag"), x/net/html does not. A script's double escaped text always shows the filler: space in a
// script that never runs is allowed.
func sameTree(was, is []byte) error {
	var s scanner
	s.scan(was)
	switch {
	case s.verdict == undecided && s.inTag():
		if filler, ok := bytes.CutPrefix(is, was); !ok || len(bytes.Trim(filler, " ")) > 0 {
			return fmt.Errorf("filled with %q", filler)
		}
		return nil
	case s.verdict == undecided && s.escape == 2:
		is = bytes.TrimRight(is, " ")
	}
	a, err := parseDOM(was)
	if err != nil {
		return err
	}
	b, err := parseDOM(is)
	if err != nil {
		return err
	}
	if x, y := serialize(a), serialize(b); x != y {
		return fmt.Errorf("the tree changed:\n before %q\n after  %q\n by %q", x, y, is)
	}
	return nil
}
