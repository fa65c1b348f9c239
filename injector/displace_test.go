package injector

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// displaced are parts of a page after our script; the address of a "[…]" becomes ours, that of a "{…}" stays.
var displaced = []string{
	`<script src="[//cdn.vendor.example/js/v.min.js]"></script>`,
	`<script type="text/javascript" async src='[https://cdn.vendor.example/js/v.min.js?x=1&amp;y]' defer></script>`,
	`<SCRIPT SRC=[http://cdn.vendor.example/v.js]></SCRIPT>`,
	`<script
	src = "[ https://cdn.vendor.example/v.js	]"
>ignored</script >`,
	`<script data-a=1 src="[//cdn.vendor.example/v.js]" src="{//cdn.vendor.example/v.js}"></script>`,
	`<link rel=preload as=script href="[https://cdn.vendor.example/v.js]">`,
	`<link rel=preconnect href="{https://cdn.vendor.example/}">`,
	`<link rel=stylesheet href="{https://cdn.vendor.example/v.css}">`,
	`<a href="{https://cdn.vendor.example/v.js}">x</a><img src="{https://cdn.vendor.example/v.js}">`,
	`<script src="{/own.js?of=//cdn.vendor.example/v.js}"></script>`,
	`<script src=[//cdn.vendor.example/v.js]` + strings.Repeat(` data-long="x"`, 300) + `></script>`,
	`<script` + strings.Repeat(` data-long="x"`, 300) + ` src="{//cdn.vendor.example/v.js}"></script>`,
	`<!-- <script src="{//cdn.vendor.example/v.js}"></script> -->`,
	`<textarea><script src="{//cdn.vendor.example/v.js}"></script></textarea>`,
	`<title><script src="{//cdn.vendor.example/v.js}"></script></title>`,
	`<noscript><script src="{//cdn.vendor.example/v.js}"></script></noscript>`,
	`<iframe><script src="{//cdn.vendor.example/v.js}"></script></iframe>`,
	`<xmp><script src="{//cdn.vendor.example/v.js}"></script></xmp>`,
	`<noembed><script src="{//cdn.vendor.example/v.js}"></script></noembed>`,
	`<style><script src="{//cdn.vendor.example/v.js}"></script></style>`,
	`<script type="application/json">{"html": "<script src='{//cdn.vendor.example/v.js}'><\/script>"}</script>`,
	`<script><!-- <script src="{//cdn.vendor.example/v.js}"></script> --></script>`,
	`<div title='<script src="{//cdn.vendor.example/v.js}">'>a < b <1 </div></body></br></ x>`,
	`<iframe srcdoc="<script src='{//cdn.vendor.example/v.js}'></script>"></iframe>`,
	`<svg><title>t</title><path d="M0"/></svg><custom-element-name a="<script src={//cdn.vendor.example/v.js}>"></custom-element-name>`,
	`<base href="/"><script src="[//cdn.vendor.example/v.js]"></script>`,
}

var displacedScripts = regexp.MustCompile(`^(https?:)?//([^/]*\.)?vendor\.example/`)

// TestDisplaces: displaced scripts become ours, in every cut of the page; nothing else of it changes, nor its
// length.
func TestDisplaces(t *testing.T) {
	mark := regexp.MustCompile(`\[([^]]*)\]`)
	with := newInjector(t, Options{Blocking: true, Displaces: displacedScripts})
	without := newInjector(t, Options{Blocking: true})
	page := `<!doctype html><html><head><meta charset=utf-8><title>x</title><script>first()</script>` + strings.Join(displaced, "\n")
	page = strings.NewReplacer("{/", "/", "{h", "h", "js}", "js", "css}", "css", "/}", "/").Replace(page)
	want := mark.ReplaceAllStringFunc(page, func(url string) string {
		return testSnippet.Script + strings.Repeat(" ", len(url)-2-len(testSnippet.Script))
	})
	page = mark.ReplaceAllString(page, "$1")
	if n := strings.Count(want, testSnippet.Script); n != 8 {
		t.Fatalf("%d addresses are to change", n)
	}
	for _, end := range []string{"</body></html>", "<scrip", "<script src=\"//cdn.vendor.example/v.js", "<plaintext><script src=//cdn.vendor.example/v.js>"} {
		doc, want := page+end, want+end
		want = want[strings.Index(want, "<script>first"):]
		for _, size := range []int{1, 2, 3, 5, 7, 11, 64, 100, 333, 1000, 2500, len(doc)} {
			for _, h := range []string{"", strconv.Itoa(len(doc))} {
				header := headers("Content-Type", htmlType)
				if h != "" {
					header.Set("Content-Length", h)
				}
				rec, reason := response(t, with, navigation(), 200, header.Clone(), doc, size)
				plain, _ := response(t, without, navigation(), 200, header.Clone(), doc, size)
				if reason != ReasonInjected || rec.Header().Get("Content-Length") != plain.Header().Get("Content-Length") {
					t.Fatalf("reason %q, header %v", reason, rec.Header())
				}
				got := rec.Body.String()
				if tail := got[strings.Index(got, "<script>first"):]; tail != want {
					at := 0
					for at < min(len(tail), len(want)) && tail[at] == want[at] {
						at++
					}
					t.Fatalf("in pieces of %d bytes, from byte %d on:\n%.300q\nwant\n%.300q", size, at, tail[at:], want[at:])
				}
				if got[:strings.Index(got, "<script>first")] != plain.Body.String()[:strings.Index(plain.Body.String(), "<script>first")] {
					t.Fatal("what is in front of the first script differs")
				}
			}
		}
	}
}

// TestDisplacesNothing: pages that we can't read reliably stay as they are.
func TestDisplacesNothing(t *testing.T) {
	in := newInjector(t, Options{Blocking: true, Displaces: displacedScripts})
	const tag = `<script src="//vendor.example/v.js"></script>`
	for name, doc := range map[string]string{
		"a base address after the first script":   `<!doctype html><meta charset=utf-8><script></script><base href="https://other.example/">` + tag,
		"an address that is shorter than our own": `<!doctype html><meta charset=utf-8><script></script><script src="//vendor.example/"></script>`,
	} {
		if len(testSnippet.Script) < len("//vendor.example/") && strings.Contains(name, "shorter") {
			continue
		}
		rec, reason := response(t, in, navigation(), 200, headers("Content-Type", htmlType), doc, len(doc))
		got := rec.Body.String()
		if at := strings.Index(got, "<script></script>"); reason != ReasonInjected || !strings.HasSuffix(doc, got[at:]) {
			t.Errorf("%s: %q, %s", name, reason, got)
		}
	}
	page := `<!doctype html><html amp><head>` + tag
	if rec, reason := response(t, in, navigation(), 200, headers("Content-Type", htmlType), page, len(page)); reason != ReasonAMP || rec.Body.String() != page {
		t.Errorf("AMP: %q, %s", reason, rec.Body)
	}
}

// TestDisplacesTag: a page with other contents has another entity tag.
func TestDisplacesTag(t *testing.T) {
	if a, b := newInjector(t, Options{}), newInjector(t, Options{Displaces: displacedScripts}); a.suffix == b.suffix {
		t.Error("the entity tag is the same")
	}
}
