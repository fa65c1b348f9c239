//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
	"github.com/caddy-webpush/caddy-webpush/injector"
)

// pagesTime is how long one browser may take for one set of pages.
const pagesTime = 90 * time.Second

// TestPages: a page from the site and the same page through webpush are the same
// document in a browser, except for our two elements in the head. Each is opened
// as a visitor would, so that the browser guesses its encoding.
func TestPages(t *testing.T) {
	dev, edge := pageFiles(t, "dev"), pageFiles(t, "edge")
	c := newComparison(t, slices.Concat(dev, edge))
	for _, u := range shared.users {
		t.Run(u.name, func(t *testing.T) {
			b := u.start(t)
			ctx, cancel := context.WithTimeout(t.Context(), pagesTime)
			defer cancel()
			var tabs [2]browser.Page
			for i := range tabs {
				var err error
				tabs[i], err = b.Open(ctx, c.url+"/blank")
				must(t, err)
			}
			clock := &lap{t, time.Now()}
			var devs, edges tally
			for i := range c.pages {
				e := &c.pages[i]
				judged := &edges
				if i < len(dev) {
					judged = &devs
				}
				judged.add(e, c.compareByVisit(ctx, t, tabs, e))
			}
			clock.done("pages")
			for _, tab := range tabs {
				must(t, tab.Close(ctx))
			}
			devs.report(t, "dev pages")
			edges.report(t, "edge pages")
			if n := len(devs.right) + len(devs.alone[string(injector.ReasonAMP)]); n != len(dev) {
				t.Errorf("%d of %d dev pages are right", n, len(dev))
			}
		})
	}
}

// html5libWanted is the part of html5lib's inputs that must be right.
const html5libWanted = 0.998

// TestPagesHTML5Lib is TestPages with the inputs of html5lib's tests of tree
// construction. They are many, so browsers get them by document.write: the same
// parser in the same mode.
func TestPagesHTML5Lib(t *testing.T) {
	inputs := html5libInputs(t)
	c := newComparison(t, inputs)
	for _, u := range shared.users {
		t.Run(u.name, func(t *testing.T) {
			b := u.start(t)
			ctx, cancel := context.WithTimeout(t.Context(), pagesTime)
			defer cancel()
			page, err := b.Open(ctx, c.url+"/blank")
			must(t, err)
			clock := &lap{t, time.Now()}
			got := c.compareByWriting(ctx, t, page)
			clock.done("inputs")
			must(t, page.Close(ctx))
			got.report(t, "html5lib")
			if part := got.part(); part < html5libWanted {
				t.Errorf("%.2f %% are right, want %.1f", 100*part, 100*html5libWanted)
			}
		})
	}
}

// sharedData is the folder of test data outside the project, named by
// WEBPUSH_TESTDATA. The comparison takes both browsers a minute and a half, so it
// runs only on request; injector/DESIGN.md has the command.
func sharedData(t *testing.T) string {
	t.Helper()
	data := os.Getenv("WEBPUSH_TESTDATA")
	if data == "" {
		t.Skip("WEBPUSH_TESTDATA names no folder of pages to judge")
	}
	if info, err := os.Stat(data); err != nil || !info.IsDir() {
		t.Fatalf("WEBPUSH_TESTDATA=%s is no folder", data)
	}
	return data
}

// pageFiles returns the pages of a folder.
func pageFiles(t *testing.T, folder string) []comparedPage {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(sharedData(t), "pages", folder, "*.html"))
	must(t, err)
	if len(files) == 0 {
		t.Skip("no pages in " + folder)
	}
	var pages []comparedPage
	for _, f := range files {
		raw, err := os.ReadFile(f)
		must(t, err)
		pages = append(pages, comparedPage{name: filepath.Base(f), contentType: "text/html", original: raw})
	}
	return pages
}

// html5libInputs returns the inputs of whole documents, without duplicates.
func html5libInputs(t *testing.T) []comparedPage {
	t.Helper()
	root := filepath.Join(sharedData(t), "html5lib-tests", "tree-construction")
	files, err := filepath.Glob(filepath.Join(root, "*.dat"))
	must(t, err)
	scripted, err := filepath.Glob(filepath.Join(root, "scripted", "*.dat"))
	must(t, err)
	files = append(files, scripted...)
	if len(files) == 0 {
		t.Skip("no html5lib tests")
	}
	var inputs []comparedPage
	seen := make(map[string]bool)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		must(t, err)
		for i, test := range bytes.Split(append([]byte("\n"), raw...), []byte("\n#data\n"))[1:] {
			data, tail, ok := bytes.Cut(test, []byte("\n#errors"))
			if !ok {
				data, tail, _ = bytes.Cut(test, []byte("#errors")) // empty data
			}
			if bytes.Contains(tail, []byte("\n#document-fragment\n")) || seen[string(data)] {
				continue
			}
			seen[string(data)] = true
			inputs = append(inputs, comparedPage{
				name:        fmt.Sprintf("%s #%d", filepath.Base(f), i),
				contentType: "text/html; charset=utf-8", original: data,
			})
		}
	}
	return inputs
}

// tally sorts the pages by result.
type tally struct {
	right []string            // our tags are in the head, and nothing else has changed
	wrong []string            // with the fault
	alone map[string][]string // by the reason; every byte is unchanged
}

func (l *tally) add(e *comparedPage, complaint string) {
	switch {
	case complaint != "":
		l.wrong = append(l.wrong, e.name+": "+complaint)
	case e.changed != nil && e.reason == "":
		l.right = append(l.right, e.name)
	default:
		if l.alone == nil {
			l.alone = make(map[string][]string)
		}
		l.alone[e.reason] = append(l.alone[e.reason], e.name)
	}
}

// leftAlone is how many pages were left unchanged for a good reason: text that
// ends inside another construct has no place for tags, AMP allows no scripts, and
// content that begins with text is not treated as a page whatever its type.
func (l *tally) leftAlone() int {
	n := 0
	for _, reason := range []injector.Reason{
		injector.ReasonOpenConstruct, injector.ReasonEmpty, injector.ReasonAMP, injector.ReasonNotHTML,
	} {
		n += len(l.alone[string(reason)])
	}
	return n
}

// part is the share of pages with the right result.
func (l *tally) part() float64 {
	good, all := len(l.right)+l.leftAlone(), len(l.right)+len(l.wrong)
	for _, names := range l.alone {
		all += len(names)
	}
	return float64(good) / float64(all)
}

func (l *tally) report(t *testing.T, what string) {
	t.Helper()
	t.Logf("%s: right %d, wrong %d; %.2f %% as they should be", what, len(l.right), len(l.wrong), 100*l.part())
	for _, w := range l.wrong {
		t.Logf("wrong: %s", w)
	}
	for _, reason := range slices.Sorted(maps.Keys(l.alone)) {
		names := l.alone[reason]
		t.Logf("left alone, %s: %d (%s)", reason, len(names), strings.Join(names[:min(len(names), 12)], ", "))
	}
}
