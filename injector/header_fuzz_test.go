package injector

import (
	"mime"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/html/charset"
)

// FuzzContentType: for any Content-Type, a page is only changed if browsers read it as HTML, in a charset in
// which our tags are their ASCII bytes.
func FuzzContentType(f *testing.F) {
	for _, seed := range []string{
		"text/html", "TEXT/HTML; charset=UTF-8", `text/html;charset="utf-16"`, "text/html; charset=iso-2022-jp",
		"application/xhtml+xml", "text/html; charset=hz-gb-2312", "text/html ;a=b; charset=shift_jis", "text/htmlx", "text/plain",
		`text/html; x="; charset=utf-7"; charset=utf-8`, "text/html;charset=utf-16;charset=utf-8", "text/html;charset='utf-16'", "", ";", "text/html,text/html;charset=utf-16le",
	} {
		f.Add(seed)
	}
	const doc = "<!DOCTYPE html><html><head><title>x</title></head><body></body></html>"
	in := newInjector(f, Options{})
	f.Fuzz(func(t *testing.T, contentType string) {
		rec := httptest.NewRecorder()
		w := in.NewWriter(rec, navigation())
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(doc))
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		if w.Reason() != ReasonInjected {
			if rec.Body.String() != doc {
				t.Fatalf("%q: %q, but the page was changed", contentType, w.Reason())
			}
			return
		}
		media, params, err := mime.ParseMediaType(contentType)
		if err != nil {
			return // browsers are laxer than the package mime
		}
		if media != "text/html" && media != "application/xhtml+xml" {
			t.Fatalf("injected into %q", contentType)
		}
		enc, name := charset.Lookup(params["charset"])
		if enc == nil {
			return
		}
		tags := string(in.script.append(nil, "", "", 0))
		if got, err := enc.NewEncoder().String(tags); err != nil || got != tags {
			t.Fatalf("injected into %q, in which (%s) our tags are %q, %v", contentType, name, got, err)
		}
	})
}

// FuzzETagList: the upstream gets each of its tags back without our mark, none with a mark of ours, and on
// navigations none without a mark; the request itself stays as it is.
func FuzzETagList(f *testing.F) {
	in := newInjector(f, Options{})
	for _, seed := range []string{
		`"v1"`, `W/"v1"`, `"v1` + in.suffix + `"`, `W/"` + in.suffix + `", "a,b` + in.suffix + `"`, `*`, `"a-wp01234567", "b"`, `"open`, `a, "b"`, `,, "x" ,`, `""`,
	} {
		f.Add(seed, seed, true)
		f.Add(seed, `"other"`, false)
	}
	f.Fuzz(func(t *testing.T, first, second string, document bool) {
		r := request("Accept", "text/html")
		if document {
			r = navigation()
		}
		r.Header["If-None-Match"] = []string{first, second}
		w := in.NewWriter(nil, r)
		w.PrepareRequest()
		got := r.Header["If-None-Match"]
		w.RestoreRequest()
		if v := r.Header["If-None-Match"]; len(v) != 2 || v[0] != first || v[1] != second {
			t.Fatalf("the request became %q", v)
		}
		if len(got) > 1 {
			t.Fatalf("%d headers: %q", len(got), got)
		}
		sent := map[string]bool{}
		for _, v := range []string{first, second} {
			for tag, remaining := cutTag(v); tag != ""; tag, remaining = cutTag(remaining) {
				sent[tag] = true
			}
		}
		if len(got) == 0 {
			got = []string{""}
		}
		for tag, remaining := cutTag(got[0]); tag != ""; tag, remaining = cutTag(remaining) {
			marked := strings.TrimSuffix(tag, `"`) + in.suffix + `"`
			switch {
			case tag == "*" || sent[marked]:
			case document || !sent[tag]:
				t.Fatalf("%q, %q: the upstream gets %s", first, second, tag)
			}
		}
		// A marked tag comes back as it was.
		for tag := range sent {
			marked := in.suffixed(tag)
			if marked == "" {
				continue
			}
			r.Header["If-None-Match"] = []string{marked}
			in.NewWriter(nil, r).PrepareRequest()
			if back := r.Header["If-None-Match"]; len(back) != 1 || back[0] != tag {
				t.Fatalf("%s is marked %s and comes back as %q", tag, marked, back)
			}
		}
	})
}
