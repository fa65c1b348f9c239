package injector

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

var testSnippet = Snippet{Manifest: "/manifest.json", Script: "/_webpush/sdk.js"}

func newInjector(t testing.TB, opts Options) *Injector {
	t.Helper()
	if opts.Snippet == (Snippet{}) {
		opts.Snippet = testSnippet
	}
	in, err := New(opts)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return in
}

// testdata returns the folder of test data, or skips the test.
func testdata(t testing.TB, sub ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		dir = filepath.Dir(dir)
		data := filepath.Join(append([]string{dir, "shared", "testdata"}, sub...)...)
		if _, err := os.Stat(data); err == nil {
			return data
		}
	}
	t.Skip("no shared test data on this machine")
	return ""
}

// outcome is the result of the bare scanner for a document.
type outcome struct {
	at          int
	reason      Reason
	hasManifest bool
	baseForeign bool
	policies    string // of <meta> elements
	policyLost  bool
}

// run feeds a scanner with the document. next gets the number of bytes left and returns the length of the
// next piece. run checks the scanner's promises on the way.
func run(doc []byte, s scanner, next func(left int) int) (outcome, error) {
	off := 0
	for off < len(doc) && s.verdict == undecided {
		n := min(max(next(len(doc)-off), 1), len(doc)-off)
		held := int(s.pending)
		at := s.scan(doc[off : off+n])
		switch {
		case at < -held || at > n:
			return outcome{}, fmt.Errorf("scan returned %d with %d held and a piece of %d", at, held, n)
		case s.verdict == undecided && (n-at > maxHeld || n-at != int(s.pending)):
			return outcome{}, fmt.Errorf("scan holds back %d, reports %d", n-at, s.pending)
		case s.verdict == found:
			return outcome{at: off + at, hasManifest: s.hasManifest, baseForeign: s.baseForeign, policies: string(s.text[:s.textLen]), policyLost: s.metaLost}, nil
		}
		off += n
	}
	at := s.end()
	if s.verdict != found {
		return outcome{at: -1, reason: s.reason}, nil
	}
	return outcome{at: off + at, hasManifest: s.hasManifest, baseForeign: s.baseForeign, policies: string(s.text[:s.textLen]), policyLost: s.metaLost}, nil
}

func whole(left int) int { return left }

var (
	errOpen   = errors.New("not inserted: open construct")
	errReject = errors.New("not inserted")
	errOracle = errors.New("the oracle can't parse the page") // more than 512 open elements
)

// judgeDOM inserts our tags at the scanner's place and compares the documents as x/net/html parses them: they
// must only differ in our two elements in the head.
func judgeDOM(in *Injector, doc []byte) error {
	got, err := run(doc, scanner{marker: in.script[1], anyText: true}, whole)
	switch {
	case err != nil:
		return err
	case got.reason == ReasonOpenConstruct:
		return errOpen
	case got.at < 0:
		return fmt.Errorf("%w: %s", errReject, got.reason)
	}
	var tags []byte
	if !got.hasManifest {
		tags = in.manifest.append(tags, "", "", 0)
	}
	tags = in.script.append(tags, "", "", 0)
	changed := append(append(append([]byte(nil), doc[:got.at]...), tags...), doc[got.at:]...)
	if err := compareDOM(doc, changed, !got.hasManifest); err != nil || bytes.IndexByte(doc, 0) < 0 {
		return err
	}
	// Browsers drop a NUL in text; by the standard it opens the body.
	drop := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte{0}, nil) }
	if err := compareDOM(drop(doc), drop(changed), !got.hasManifest); err != nil {
		return fmt.Errorf("without NULs: %w", err)
	}
	return nil
}

func compareDOM(doc, changed []byte, manifest bool) error {
	before, err := parseDOM(doc)
	if err != nil {
		return fmt.Errorf("%w: %w", errOracle, err)
	}
	after, err := parseDOM(changed)
	if err != nil {
		return fmt.Errorf("parsing the changed page: %w", err)
	}
	if err := removeOurs(after, manifest); err != nil {
		return err
	}
	a, b := serialize(before), serialize(after)
	if a != b {
		i := 0
		for i < len(a) && i < len(b) && a[i] == b[i] {
			i++
		}
		return fmt.Errorf("documents differ at %d:\n before %q\n after  %q", i, clip(a, i), clip(b, i))
	}
	return nil
}

func clip(s string, i int) string { return s[max(i-60, 0):min(i+60, len(s))] }

// parseDOM parses as a browser does: x/net/html doesn't skip a byte order mark.
func parseDOM(doc []byte) (*html.Node, error) {
	return html.Parse(bytes.NewReader(bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))))
}

// removeOurs removes our elements from the head.
func removeOurs(doc *html.Node, manifest bool) error {
	var head *html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "head" && n.Parent != nil && n.Parent.Data == "html" && n.Parent.Parent == doc {
			head = n
			break
		}
	}
	if head == nil {
		return errors.New("no head")
	}
	link, script := 0, 0
	for n := head.FirstChild; n != nil; {
		next := n.NextSibling
		switch {
		case n.Data == "link" && attrOf(n, "href") == testSnippet.Manifest && attrOf(n, "rel") == "manifest" && manifest && link == 0:
			link++
			head.RemoveChild(n)
		case n.Data == "script" && attrOf(n, "src") == testSnippet.Script && attrOf(n, "defer") == "defer":
			script++
			head.RemoveChild(n)
		}
		n = next
	}
	if wantLink := map[bool]int{true: 1}[manifest]; link != wantLink || script != 1 {
		return fmt.Errorf("in the head: %d of %d links, %d of 1 scripts", link, wantLink, script)
	}
	return nil
}

func attrOf(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// serialize writes the tree with adjacent texts joined.
func serialize(n *html.Node) string {
	var b strings.Builder
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		text := false
		for c := range n.ChildNodes() {
			if c.Type == html.TextNode {
				if !text {
					b.WriteString("\n#text ")
				}
				text = true
				b.WriteString(c.Data)
				continue
			}
			text = false
			fmt.Fprintf(&b, "\n<%d %s %s %q", c.Type, c.Namespace, c.Data, c.Attr)
			walk(c)
			b.WriteString("\n>")
		}
	}
	walk(n)
	return b.String()
}

// TestRealPages: every real page is right.
func TestRealPages(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata(t, "pages", "dev"), "*.html"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	in := newInjector(t, Options{})
	right := 0
	for _, f := range files {
		doc, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		err = judgeDOM(in, doc)
		if amp := errors.Is(err, errReject) && strings.HasSuffix(err.Error(), string(ReasonAMP)); err == nil || amp {
			right++
			continue
		}
		t.Errorf("%s: %v", filepath.Base(f), err)
	}
	t.Logf("right on %d of %d pages", right, len(files))
}

// TestEdgePages: odd pages are right or left alone.
func TestEdgePages(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata(t, "pages", "edge"), "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	in := newInjector(t, Options{})
	right, alone := 0, 0
	for _, f := range files {
		if strings.HasSuffix(f, ".tsv") {
			continue
		}
		doc, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		switch err := judgeDOM(in, doc); {
		case err == nil:
			right++
		case errors.Is(err, errOpen), errors.Is(err, errReject), errors.Is(err, errOracle):
			alone++
			t.Logf("%s: %v", filepath.Base(f), err)
		default:
			t.Errorf("%s: %v", filepath.Base(f), err)
		}
	}
	t.Logf("right on %d, left %d alone", right, alone)
}

// TestHTML5Lib: 99.8 % of the tree construction inputs are right.
func TestHTML5Lib(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata(t, "html5lib-tests", "tree-construction"), "*.dat"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	more, _ := filepath.Glob(filepath.Join(testdata(t, "html5lib-tests", "tree-construction"), "scripted", "*.dat"))
	in := newInjector(t, Options{})
	right, alone, wrong := 0, 0, 0
	for _, f := range append(files, more...) {
		for i, doc := range html5libInputs(t, f) {
			switch err := judgeDOM(in, doc); {
			case err == nil:
				right++
			case errors.Is(err, errOpen), errors.Is(err, errReject):
				alone++
				if errors.Is(err, errReject) {
					t.Logf("%s #%d %q: %v", filepath.Base(f), i, doc, err)
				}
			default:
				wrong++
				t.Logf("%s #%d %q: %v", filepath.Base(f), i, doc, err)
			}
		}
	}
	rate := float64(right+alone) / float64(right+alone+wrong)
	t.Logf("right %d, left alone %d, wrong %d: %.2f %%", right, alone, wrong, 100*rate)
	if wrong > 0 {
		t.Errorf("%d are wrong", wrong)
	}
	if right < 9*alone {
		t.Errorf("left %d alone and changed only %d", alone, right)
	}
}

// html5libInputs returns the #data sections of a .dat file.
func html5libInputs(t testing.TB, file string) [][]byte {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var inputs [][]byte
	for _, test := range bytes.Split(append([]byte("\n"), raw...), []byte("\n#data\n"))[1:] {
		data, _, ok := bytes.Cut(test, []byte("\n#errors"))
		if !ok {
			data, _, _ = bytes.Cut(test, []byte("#errors")) // empty data
		}
		inputs = append(inputs, data)
	}
	return inputs
}
