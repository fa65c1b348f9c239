package injector

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

const xhtmlRoot = `<html xmlns="http://www.w3.org/1999/xhtml">`

// xhtmlCases mark the place of the tags with "|"; without it the page isn't changed.
var xhtmlCases = map[string]string{
	"plain":                xhtmlRoot + "<head><title>t</title>|</head><body/></html>",
	"declaration":          "<?xml version='1.0' encoding=\"utf-8\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\"\n 'a>b'>\n" + xhtmlRoot + "\n<head>\n|</head><body/></html>",
	"mark":                 "\xef\xbb\xbf" + xhtmlRoot + "<head>|</head></html>",
	"cdata":                xhtmlRoot + "<head><script>//<![CDATA[\nif (a<b) '</head>'; ]] ]>\n//]]></script>|</head></html>",
	"comment":              xhtmlRoot + "<!-- <head></head> - ->--><head><!-- </head> -> - -->|</head></html>",
	"instruction":          xhtmlRoot + "<head><?x </head> ? > ??>|</head></html>",
	"quotes":               xhtmlRoot + `<head><meta name="a" content='&lt;/head> "'/>|</head></html>`,
	"script with less":     xhtmlRoot + "<head><script>1 &lt; 2</script>|</head></html>",
	"empty elements":       xhtmlRoot + "<head><link rel='icon' href='x' /><meta name='a'/><base target='x'/>|</head></html>",
	"nested":               xhtmlRoot + "<head><metadata><head><head/></head><x:y xmlns:x='z'>1</x:y></metadata>|</head></html>",
	"long names":           xhtmlRoot + "<head><averylongelementname a='b'></averylongelementname><averylongelementname/>|</head></html>",
	"space in end tag":     xhtmlRoot + "<head>|</head \n></html>",
	"other attributes":     `<html lang="a" xmlns:svg="b" xmlns="http://www.w3.org/1999/xhtml" xml:lang='c'><head profile="x">|</head></html>`,
	"upper case":           `<HTML xmlns="http://www.w3.org/1999/xhtml"><HEAD></HEAD></HTML>`,
	"upper case head":      xhtmlRoot + "<HEAD></HEAD></html>",
	"upper case attribute": `<html Xmlns="http://www.w3.org/1999/xhtml"><head></head></html>`,
	"no namespace":         "<html><head></head></html>",
	"other namespace":      `<html xmlns="http://www.w3.org/1999/xhtml2"><head></head></html>`,
	"prefix":               `<h:html xmlns:h="http://www.w3.org/1999/xhtml"><h:head></h:head></h:html>`,
	"namespace of head":    xhtmlRoot + `<head xmlns="x"></head></html>`,
	"internal subset":      `<!DOCTYPE html [<!ATTLIST head xmlns CDATA "x">]>` + xhtmlRoot + "<head></head></html>",
	"no head":              xhtmlRoot + "<body><p/></body></html>",
	"empty head":           xhtmlRoot + "<head/><body/></html>",
	"body first":           xhtmlRoot + "<body><head></head></body></html>",
	"svg":                  `<svg xmlns="http://www.w3.org/2000/svg"><head></head></svg>`,
	"cut":                  xhtmlRoot + "<head><title>t</title>",
	"unquoted":             xhtmlRoot + "<head><meta name=a></meta></head></html>",
	"html syntax":          xhtmlRoot + "<head><meta name='a'><title>t</title></head><body></body></html>",
	"utf-16":               "<\x00h\x00",
	"text":                 "hello",
}

// TestXHTML runs the cases cut everywhere, and compares how an XML parser reads the page before and after.
func TestXHTML(t *testing.T) {
	in := newInjector(t, Options{})
	for name, text := range xhtmlCases {
		t.Run(name, func(t *testing.T) {
			before, after, want := strings.Cut(text, "|")
			doc := before + after
			for size := 1; size <= len(doc); size++ {
				rec, reason := response(t, in, navigation(), 200, headers("Content-Type", "application/xhtml+xml; charset=utf-8"), doc, size)
				got := rec.Body.String()
				if !want {
					if got != doc || reason == ReasonInjected || name != "utf-16" && reason != ReasonXHTML {
						t.Fatalf("pieces of %d: %q, %q", size, reason, got)
					}
					continue
				}
				if reason != ReasonInjected || got != before+in.String()+after {
					t.Fatalf("pieces of %d: %q, %q", size, reason, got)
				}
			}
			if want {
				if err := judgeXML(in, doc); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestXHTMLHead checks what the head declares.
func TestXHTMLHead(t *testing.T) {
	in := newInjector(t, Options{Uses: testAddresses})
	script := string(in.script.append(nil, "", "", 0))
	for name, tt := range map[string]struct {
		head, tags string
		reason     Reason
	}{
		"manifest":         {"<link rel='icon manifest' href='x'/>", script, ReasonInjected},
		"ours":             {"<script src='/_webpush/sdk.js'></script>", "", ReasonAlready},
		"base":             {"<base href='/'/>", in.String(), ReasonInjected},
		"policy":           {`<meta http-equiv="Content-Security-Policy" content="script-src 'none'"/>`, "", ReasonCSP},
		"policy in a note": {`<x xmlns="y"><meta http-equiv="Content-Security-Policy" content="script-src 'none'"/></x>`, in.String(), ReasonInjected},
		"iso-2022-jp":      {"<title>\x1b$B</title>", "", ReasonCharset},
	} {
		doc := xhtmlRoot + "<head>" + tt.head + "</head></html>"
		rec, reason := response(t, in, navigation(), 200, headers("Content-Type", "application/xhtml+xml"), doc, len(doc))
		if want := strings.Replace(doc, "</head>", tt.tags+"</head>", 1); reason != tt.reason || rec.Body.String() != want {
			t.Errorf("%s: %q, %q", name, reason, rec.Body)
		}
	}
}

// judgeXML compares the tokens of a document with those of the changed one, which must additionally have our
// two elements at the end of the head.
func judgeXML(in *Injector, doc string) error {
	got, err := run([]byte(doc), scanner{marker: in.script[1], xml: true}, whole)
	if err != nil || got.at < 0 {
		return fmt.Errorf("%w: %q, %w", errReject, got.reason, err)
	}
	before, err := xmlTokens(doc)
	if err != nil {
		return fmt.Errorf("%w: %w", errOracle, err)
	}
	const probe = "<injected/>"
	after, err := xmlTokens(doc[:got.at] + probe + doc[got.at:])
	if err != nil {
		return fmt.Errorf("parsing the changed page: %w", err)
	}
	i := slices.Index(after, "/html/head/injected") // in XHTML's namespace
	if i < 0 || after[i+1] != "end" || after[i+2] != "end" {
		return fmt.Errorf("not at the head's end: %q", after)
	}
	if after = slices.Delete(after, i, i+2); !slices.Equal(before, after) {
		return fmt.Errorf("documents differ:\n before %q\n after  %q", before, after)
	}
	return nil
}

// xmlTokens returns a document's tokens, with the path of each element. Elements outside of XHTML's namespace
// have it in their names.
func xmlTokens(doc string) ([]string, error) {
	d := xml.NewDecoder(strings.NewReader(doc))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var out, path []string
	for {
		token, err := d.Token()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			if token.Name.Space != xhtmlNamespace {
				name = token.Name.Space + " " + name
			}
			path = append(path, name)
			out = append(out, "/"+strings.Join(path, "/"))
			for _, a := range token.Attr {
				out = append(out, fmt.Sprintf("%v=%q", a.Name, a.Value))
			}
		case xml.EndElement:
			path = path[:len(path)-1]
			out = append(out, "end")
		case xml.CharData:
			if n := len(out); n > 0 && strings.HasPrefix(out[n-1], "#") { // joined
				out[n-1] += string(token)
			} else {
				out = append(out, "#"+string(token))
			}
		}
	}
}

// FuzzXHTML: every document that an XML parser accepts is right or left alone, with the same result for all
// cuts.
func FuzzXHTML(f *testing.F) {
	for _, text := range xhtmlCases {
		f.Add([]byte(strings.Replace(text, "|", "", 1)), uint8(3))
	}
	in := newInjector(f, Options{})
	f.Fuzz(func(t *testing.T, doc []byte, n uint8) {
		want, err := run(doc, scanner{marker: in.script[1], xml: true}, whole)
		if err != nil {
			t.Fatal(err)
		}
		got, err := run(doc, scanner{marker: in.script[1], xml: true}, func(int) int { return int(n)%9 + 1 })
		if err != nil || got != want {
			t.Fatalf("whole %+v, in pieces %+v, %v", want, got, err)
		}
		if err := judgeXML(in, string(doc)); err != nil && !errors.Is(err, errReject) && !errors.Is(err, errOracle) {
			t.Fatal(err)
		}
	})
}
