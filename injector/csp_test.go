package injector

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestCheckCSP has common cases, most of them verified in a browser.
func TestCheckCSP(t *testing.T) {
	for _, tt := range []struct {
		name    string
		headers []string
		want    string // use:directive, blocked ones only
	}{
		{"none", nil, ""},
		{"empty", []string{""}, ""},
		{"self", []string{"default-src 'self'"}, ""},
		{"none at all", []string{"default-src 'none'"}, "script:default-src worker:default-src manifest:default-src connect:default-src image:default-src"},
		{"an empty list", []string{"connect-src"}, "connect:connect-src"},
		{"nonce", []string{"script-src 'nonce-abc'"}, "worker:script-src"},
		{"nonce and strict-dynamic", []string{"script-src 'nonce-abc' 'strict-dynamic' https: 'unsafe-inline'"}, ""},
		{"hashes and strict-dynamic", []string{"script-src 'sha256-abc' 'strict-dynamic' 'self'"}, "script:script-src"},
		{"strict-dynamic for workers by default-src", []string{"default-src 'nonce-a' 'strict-dynamic'"}, "manifest:default-src connect:default-src image:default-src"},
		{"strict-dynamic in worker-src", []string{"script-src 'self'; worker-src 'Strict-Dynamic' 'none'"}, ""},
		{"strict-dynamic in child-src", []string{"script-src 'self'; child-src 'strict-dynamic'"}, ""},
		{"strict-dynamic in script-src, child-src first", []string{"script-src 'nonce-a' 'strict-dynamic'; child-src 'none'"}, "worker:child-src"},
		{"strict-dynamic in script-src, worker-src first", []string{"script-src 'nonce-a' 'strict-dynamic'; worker-src a.example"}, "worker:worker-src"},
		{"strict-dynamic in script-src-elem only", []string{"script-src-elem 'nonce-a' 'strict-dynamic'; script-src 'none'"}, "worker:script-src"},
		{"strict-dynamic in one of two", []string{"script-src 'nonce-a' 'strict-dynamic'", "script-src 'nonce-a'"}, "worker:script-src"},
		{"nonces disagree", []string{"script-src 'nonce-a'", "script-src 'nonce-b', script-src 'nonce-b' 'self'"}, "worker:script-src script:script-src worker:script-src"},
		{"nonces agree", []string{"script-src 'nonce-a' 'nonce-b'; worker-src 'self', script-src 'nonce-b'; worker-src *"}, ""},
		{"script-src-elem first", []string{"script-src 'self'; script-src-elem 'none'"}, "script:script-src-elem"},
		{"worker by child-src", []string{"default-src 'self'; child-src 'none'"}, "worker:child-src"},
		{"worker-src first", []string{"child-src 'none'; worker-src 'self'"}, ""},
		{"manifest", []string{"default-src 'none'; script-src 'self'; connect-src 'self'; img-src *"}, "manifest:default-src"},
		{"images only", []string{"img-src https://cdn.example"}, "image:img-src"},
		{"the first of two counts", []string{"script-src 'self'; SCRIPT-SRC 'none'"}, ""},
		{"host", []string{"script-src shop.example"}, ""},
		{"host of another port", []string{"connect-src shop.example:8443"}, "connect:connect-src"},
		{"http is upgraded", []string{"connect-src http://shop.example:80"}, ""},
		{"wildcard host", []string{"connect-src *.example"}, ""},
		{"wildcard is no apex", []string{"connect-src *.shop.example"}, "connect:connect-src"},
		{"exact path", []string{"script-src https://shop.example/_webpush/sdk.js?x"}, "worker:script-src"},
		{"folder", []string{"script-src shop.example/%5Fwebpush/"}, "worker:script-src"},
		{"beside the folder", []string{"script-src shop.example/_web"}, "script:script-src worker:script-src"},
		{"a scheme", []string{"script-src https:"}, ""},
		{"another scheme", []string{"connect-src data: blob:"}, "connect:connect-src"},
		{"none among others", []string{"script-src 'none' 'self'"}, ""},
		{"sandbox", []string{"sandbox"}, "script:sandbox worker:sandbox manifest:sandbox connect:sandbox"},
		{"sandbox with scripts", []string{"sandbox allow-scripts"}, "worker:sandbox manifest:sandbox connect:sandbox"},
		{"sandbox with all", []string{"sandbox allow-scripts allow-same-origin"}, ""},
		{"trusted types", []string{"require-trusted-types-for 'script'"}, ""},
		{"trusted types, others", []string{"require-trusted-types-for 'script'; trusted-types other"}, "worker:trusted-types"},
		{"trusted types in two headers", []string{"require-trusted-types-for 'script'", "trusted-types 'none'"}, "worker:trusted-types"},
		{"trusted types, ours", []string{"require-trusted-types-for 'script'; trusted-types other webpush"}, ""},
		{"trusted types not demanded", []string{"trusted-types 'none'"}, ""},
		{"other directives", []string{"frame-ancestors 'none'; style-src 'none'; upgrade-insecure-requests"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range CheckCSP(tt.headers, "https://shop.example", testAddresses) {
				got = append(got, string(f.Use)+":"+f.Directive)
				t.Logf("%s: %s", f.Use, f.Cure)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got  %q\nwant %q", s, tt.want)
			}
		})
	}
	if got := CheckCSP([]string{"default-src 'none'"}, "https://shop.example", Addresses{}); len(got) > 0 {
		t.Errorf("addresses that aren't used: %v", got)
	}
}

func TestCures(t *testing.T) {
	for _, tt := range []struct{ policy, origin, want string }{
		{"connect-src 'none'", "https://shop.example", "add shop.example/_webpush/ to connect-src"},
		{"connect-src a.example", "http://localhost:8080", "add localhost:8080/_webpush/ to connect-src"},
		{"connect-src a.example", "http://[::1]:80", "add 'self' to connect-src"},
		{"connect-src a.example", "https://192.0.2.1", "add 'self' to connect-src"},
		{"sandbox allow-scripts allow-forms; script-src 'self'", "https://shop.example", "add allow-same-origin to sandbox"},
		{"script-src-elem 'strict-dynamic'", "https://shop.example", "add a nonce to script-src-elem, a new one for each response; our tag uses it"},
		{"script-src 'nonce-x'", "https://shop.example", "add the directive: worker-src shop.example/sw.js and the sources of script-src that it should keep"},
		{"child-src 'none'", "https://shop.example", "add the directive: worker-src shop.example/sw.js"},
		{"require-trusted-types-for 'script'; trusted-types", "https://shop.example", "add webpush to trusted-types"},
	} {
		got := CheckCSP([]string{tt.policy}, tt.origin, testAddresses)
		if len(got) == 0 || got[0].Cure != tt.want || got[0].Policy != tt.policy {
			t.Errorf("%q on %s:\n got  %+v\n want %q", tt.policy, tt.origin, got, tt.want)
		}
	}
}

func TestSourcePathIsEscaped(t *testing.T) {
	s := Addresses{Script: "/a;b,c'd%2Fé"}.site()
	s.origin = makeOrigin("https", "shop.example")
	source := s.source(useScript)
	if want := "shop.example/a%3Bb%2Cc%27d%2F%C3%A9"; source != want {
		t.Errorf("got %q, want %q", source, want)
	}
	if !matchesSource(source, s.origin, "/a;b,c'd%2Fé") {
		t.Error("the source doesn't match its own path")
	}
}

// TestCSPWriter checks what policies do to a page.
func TestCSPWriter(t *testing.T) {
	uses := testAddresses
	plain := newInjector(t, Options{Uses: uses})
	extending := newInjector(t, Options{Uses: uses, CSPExtend: true})
	script := string(plain.script.append(nil, "", "", 0))
	const before, after = "<!doctype html><html><head><title>t</title>", "</head><body>hello</body></html>"
	for _, tt := range []struct {
		name    string
		in      *Injector
		lines   []string
		meta    string
		reason  Reason
		tags    string
		policy  string // the header sent; "" for the upstream's
		blocked string
	}{
		{name: "self", lines: []string{cspHeader, "default-src 'self'"}, tags: plain.String()},
		{name: "nonce", lines: []string{cspHeader, "script-src 'nonce-a+/-_9=='; worker-src 'self'"}, tags: strings.Replace(plain.String(), "></script>", ` nonce="a+/-_9=="></script>`, 1)},
		{name: "self and a nonce", lines: []string{cspHeader, "script-src 'self' 'nonce-abc'"}, tags: plain.String()},
		{name: "bad nonce", lines: []string{cspHeader, `script-src 'nonce-"><x'`}, reason: ReasonCSP, blocked: "script:script-src worker:script-src"},
		{name: "none", lines: []string{cspHeader, "script-src 'none'"}, reason: ReasonCSP, blocked: "script:script-src worker:script-src"},
		{name: "second header", lines: []string{cspHeader, "script-src 'self'", cspHeader, "script-src cdn.example"}, reason: ReasonCSP, blocked: "script:script-src worker:script-src"},
		{name: "report only", lines: []string{cspHeader + "-Report-Only", "default-src 'none'"}, tags: plain.String()},
		{name: "no posts", lines: []string{cspHeader, "connect-src api.example"}, reason: ReasonCSP, blocked: "connect:connect-src"},
		{name: "no worker", lines: []string{cspHeader, "worker-src 'none'"}, tags: plain.String(), blocked: "worker:worker-src"},
		{name: "no manifest", lines: []string{cspHeader, "manifest-src 'none'"}, tags: script, blocked: "manifest:manifest-src"},
		{name: "meta", meta: `<meta http-equiv="Content-Security-Policy" content="script-src cdn.example">`, reason: ReasonCSP, blocked: "script:script-src worker:script-src"},
		{name: "meta, content first", meta: `<meta content='script-src &#39;none&#39;' http-equiv=content-security-POLICY>`, reason: ReasonCSP, blocked: "script:script-src worker:script-src"},
		{name: "meta that allows", meta: `<meta http-equiv=Content-Security-Policy content="default-src &apos;self&apos;; sandbox">`, tags: plain.String()},
		{name: "meta without manifest", meta: `<meta http-equiv=Content-Security-Policy content="manifest-src 'none'">`, tags: script, blocked: "manifest:manifest-src"},
		{name: "meta report only", meta: `<meta http-equiv=Content-Security-Policy-Report-Only content="default-src 'none'">`, tags: plain.String()},
		{name: "meta named before", meta: `<meta name=x content="a" http-equiv=Content-Security-Policy>`, reason: ReasonCSP},
		{name: "meta, content first but no policy", meta: `<meta content="script src" http-equiv=Content-Security-Policy>`, reason: ReasonCSP},
		{name: "meta, content first and empty", meta: `<meta content="" http-equiv=Content-Security-Policy>`, tags: plain.String()},
		{name: "other meta", meta: `<meta content="script-src 'none'" name=description><meta http-equiv=refresh content="default-src 'none'">`, tags: plain.String()},
		{name: "meta too long", meta: `<meta http-equiv=Content-Security-Policy content="img-src ` + strings.Repeat("x", maxPolicy) + `">`, reason: ReasonCSP},
		{name: "two metas", meta: `<meta http-equiv=Content-Security-Policy content="img-src *"><meta http-equiv=Content-Security-Policy content="connect-src 'none'">`, reason: ReasonCSP, blocked: "connect:connect-src"},
		{name: "nonce for both", lines: []string{cspHeader, "script-src 'nonce-n'; worker-src *"}, meta: `<meta http-equiv=Content-Security-Policy content="script-src 'nonce-n'; worker-src *">`, tags: strings.Replace(plain.String(), "></script>", ` nonce="n"></script>`, 1)},

		{name: "extend none", in: extending, lines: []string{cspHeader, "default-src 'none'; sandbox allow-scripts allow-same-origin"}, tags: plain.String(), policy: "default-src 'none'; sandbox allow-scripts allow-same-origin; script-src-elem site.example/_webpush/sdk.js; worker-src site.example/sw.js; manifest-src site.example/manifest.json; connect-src site.example/_webpush/; img-src site.example/icon.png"},
		{name: "extend one directive", in: extending, lines: []string{cspHeader, "default-src 'self';  connect-src 'none' ; img-src *"}, tags: plain.String(), policy: "default-src 'self';  connect-src site.example/_webpush/; img-src *"},
		{name: "extend nothing", in: extending, lines: []string{cspHeader, "default-src 'self';"}, tags: plain.String(), policy: "default-src 'self';"},
		{name: "extend the second only", in: extending, lines: []string{cspHeader, "default-src 'self', worker-src x.example"}, tags: plain.String(), policy: "default-src 'self', worker-src x.example site.example/sw.js"},
		{name: "extend nothing with a nonce", in: extending, lines: []string{cspHeader, "script-src 'nonce-n' 'strict-dynamic'"}, tags: strings.Replace(plain.String(), "></script>", ` nonce="n"></script>`, 1), policy: "script-src 'nonce-n' 'strict-dynamic'"},
		{name: "extend shared strict-dynamic", in: extending, lines: []string{cspHeader, "script-src 'sha256-abc' 'strict-dynamic'"}, reason: ReasonCSP, blocked: "script:script-src"},
		{name: "extend a sandbox", in: extending, lines: []string{cspHeader, "sandbox; img-src x"}, reason: ReasonCSP, blocked: "script:sandbox worker:sandbox manifest:sandbox connect:sandbox"},
		{name: "extend trusted types", in: extending, lines: []string{cspHeader, "trusted-types 'none'; require-trusted-types-for 'script'"}, tags: plain.String(), policy: "trusted-types webpush; require-trusted-types-for 'script'"},
		{name: "extend report only", in: extending, lines: []string{cspHeader + "-Report-Only", "default-src 'none'"}, tags: plain.String()},
		{name: "extend meta", in: extending, meta: `<meta http-equiv=Content-Security-Policy content="default-src 'none'">`, reason: ReasonCSP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in
			if in == nil {
				in = plain
			}
			body := before + tt.meta + after
			want := before + tt.meta + tt.tags + after
			if tt.reason == "" {
				tt.reason = ReasonInjected
			}
			step := 1 + len(body)/150
			for size := 1; size <= len(body)+step; size += step {
				h := headers(append(tt.lines, "Content-Type", htmlType, "Content-Length", strconv.Itoa(len(body)))...)
				upstream := h.Values(cspHeader)
				rec := newRecorder()
				w := in.NewWriter(rec, navigation())
				send(t, w, h, body, size)
				if w.Reason() != tt.reason {
					t.Fatalf("pieces of %d: reason %q, want %q", size, w.Reason(), tt.reason)
				}
				got := rec.Body.String()
				checkLength(t, rec, size == len(body))
				if size >= len(body) && got != want {
					t.Fatalf("got  %q\nwant %q", got, want)
				}
				if tt.reason != ReasonInjected {
					if err := sameTree([]byte(want), []byte(got)); err != nil {
						t.Fatalf("pieces of %d: %v", size, err)
					}
				} else if squeeze(got) != squeeze(want) {
					t.Fatalf("pieces of %d:\n got  %q\n want %q", size, got, want)
				}
				if tt.policy != "" {
					upstream = []string{tt.policy}
				}
				if got := rec.Header().Values(cspHeader); !slices.Equal(got, upstream) {
					t.Fatalf("policy\n got  %q\n want %q", got, upstream)
				}
				var blocked []string
				for _, f := range w.Blocked() {
					blocked = append(blocked, string(f.Use)+":"+f.Directive)
				}
				if s := strings.Join(blocked, " "); s != tt.blocked && (tt.blocked != "" || tt.reason == ReasonInjected) {
					t.Fatalf("blocked %q, want %q", s, tt.blocked)
				}
			}
		})
	}
}

// squeeze removes the spaces that fill a promised length.
func squeeze(s string) string {
	for strings.Contains(s, "  ") {
		s = strings.ReplaceAll(s, "  ", " ")
	}
	return strings.ReplaceAll(s, " ></script>", "></script>")
}

// TestFreshNonce checks policies that accept only nonces and have none.
func TestFreshNonce(t *testing.T) {
	in := newInjector(t, Options{Uses: testAddresses, CSPExtend: true})
	seen := map[string]bool{}
	for range 20 {
		h := headers("Content-Type", htmlType, cspHeader, "script-src 'sha256-abc' 'strict-dynamic'", "Cache-Control", "no-cache, private", "Etag", `"v1"`)
		rec, reason := response(t, in, navigation(), 200, h, page, 1000)
		policy := rec.Header().Get(cspHeader)
		_, source, _ := strings.Cut(policy, "script-src-elem 'sha256-abc' 'strict-dynamic' 'nonce-")
		nonce := strings.TrimSuffix(source, "'")
		if reason != ReasonInjected || len(nonce) != 22 || seen[nonce] || !strings.Contains(rec.Body.String(), ` nonce="`+nonce+`"></script>`) {
			t.Fatalf("%q, policy %q, body %q", reason, policy, rec.Body)
		}
		seen[nonce] = true
		if rec.Header().Get("Etag") != "" {
			t.Error("has an ETag: a 304 would bring another policy for this nonce")
		}
	}
}

// TestCSPNotModified: a 304's policies must allow our tags in the stored page.
func TestCSPNotModified(t *testing.T) {
	const policy = "connect-src 'none'"
	for _, extend := range []bool{true, false} {
		in := newInjector(t, Options{Uses: testAddresses, CSPExtend: extend})
		for _, held := range []bool{true, false} {
			r := navigation()
			if held {
				r.Header.Set("If-None-Match", `"v1`+in.suffix+`"`)
			}
			rec, _ := response(t, in, r, 304, headers("Etag", `"v1"`, cspHeader, policy), "", 1)
			want := policy
			if extend && held {
				want = "connect-src site.example/_webpush/"
			}
			if got := rec.Header().Get(cspHeader); got != want {
				t.Errorf("extend %t, held %t: %q, want %q", extend, held, got, want)
			}
		}
	}
}

func TestCSPHead(t *testing.T) {
	in := newInjector(t, Options{Uses: testAddresses, CSPExtend: true})
	r := navigation()
	r.Method = http.MethodHead
	rec, reason := response(t, in, r, 200, headers("Content-Type", htmlType, cspHeader, "connect-src 'none'"), "", 1)
	if got := rec.Header().Get(cspHeader); got != "connect-src site.example/_webpush/" || reason != ReasonMethod {
		t.Errorf("%q, %q", got, reason)
	}
}

// TestCSPScheme checks pages behind a proxy that terminates TLS, and on this machine.
func TestCSPScheme(t *testing.T) {
	in := newInjector(t, Options{Uses: testAddresses})
	for _, tt := range []struct {
		host, policy string
		want         Reason
	}{
		{"shop.example", "script-src https://shop.example", ReasonInjected},
		{"localhost:8080", "script-src http://localhost:8080", ReasonInjected},
		{"localhost:8080", "script-src https://localhost:8080", ReasonCSP},
		{"[::1]:8080", "script-src 'self'", ReasonInjected},
	} {
		r := navigation()
		r.Host = tt.host
		if _, reason := response(t, in, r, 200, headers("Content-Type", htmlType, cspHeader, tt.policy), page, 1000); reason != tt.want {
			t.Errorf("%s, %q: %q, want %q", tt.host, tt.policy, reason, tt.want)
		}
	}
}

func TestUsesAreChecked(t *testing.T) {
	for i, a := range []Addresses{{Worker: "sw.js"}, {Connect: "//evil.example/"}, {Image: "https://cdn.example/i.png"}, {TrustedTypes: "a b"}, {TrustedTypes: "a;script-src *"}} {
		if _, err := New(Options{Snippet: testSnippet, Uses: a}); err == nil {
			t.Errorf("%d: %+v was accepted", i, a)
		}
	}
}

// BenchmarkCSP is a page of 2 kB with policies in its header.
func BenchmarkCSP(b *testing.B) {
	const usual = "default-src 'self'; script-src 'self' https://cdn.example 'nonce-4AEemGb0xJptoIGFP3Nd'; style-src 'self' 'unsafe-inline'; img-src * data:; connect-src 'self' https://api.example"
	doc := []byte(benchPage(2000))
	for _, extend := range []bool{false, true} {
		in := newInjector(b, Options{Uses: testAddresses, CSPExtend: extend})
		for _, policy := range []string{"", usual, strings.Replace(usual, "script-src 'self'", "script-src", 1), "worker-src 'none'"} {
			b.Run(fmt.Sprintf("extend=%t/%.20q", extend, policy[min(len(policy), 20):]), func(b *testing.B) {
				sink, r := &discard{h: http.Header{}}, navigation()
				length, ctype, csp := []string{strconv.Itoa(len(doc))}, []string{htmlType}, []string{policy}
				b.ReportAllocs()
				for b.Loop() {
					h := sink.h
					h["Content-Type"], h["Content-Length"] = ctype, length
					if policy != "" {
						h[cspHeader] = csp
					}
					delete(h, Marker)
					w := in.NewWriter(sink, r)
					_, _ = w.Write(doc)
					if err := w.Finish(); err != nil || w.Reason() != ReasonInjected {
						b.Fatal(err, w.Reason())
					}
				}
			})
		}
	}
}

// TestOptionsOfScript: a script with modules needs its folder, and a blocking script has no defer.
func TestOptionsOfScript(t *testing.T) {
	in := newInjector(t, Options{Modules: true, Blocking: true, CSPExtend: true})
	if got, want := in.String(), `<script src="/_webpush/sdk.js"></script>`; !strings.Contains(got, want) {
		t.Errorf("the tags are %s, want %s among them", got, want)
	}
	s := in.site
	s.origin = makeOrigin("https", "shop.example")
	if got, want := s.source(useScript), "shop.example/_webpush/"; got != want {
		t.Errorf("the source is %s, want %s", got, want)
	}
	for policy, want := range map[string]bool{
		"script-src shop.example/_webpush/":       false,
		"script-src shop.example/_webpush/sdk.js": true,
		"script-src 'self'":                       false,
	} {
		ps := parsePolicies(nil, []string{policy})
		if _, blocked := ps[0].blocks(useScript, &s, ""); blocked != want {
			t.Errorf("%s: blocked is %v, want %v", policy, blocked, want)
		}
	}
}
