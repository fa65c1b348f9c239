package injector

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// Marker is the response header that tells a second proxy that the page has been handled. A response that has
// it is left alone. Its value is "injected" if it is certain when the header is sent that the tags are in;
// "seen" if the rest of the page decides, or there is no body (HEAD).
const Marker = "X-Webpush"

// The values of [Marker].
const (
	markerInjected = "injected"
	markerSeen     = "seen"
)

// Snippet has the two elements that are added to a page. Both are root-relative URL paths in printable ASCII, percent-encoded as
// in a URL, with an optional query. They are the same on every page of a site, because client-side navigation
// such as Turbo Drive compares them.
type Snippet struct {
	Manifest string // address of the manifest; empty for no manifest link
	Script   string // address of the script
}

// Options configures an [Injector].
type Options struct {
	Snippet           Snippet
	IgnoreNoTransform bool // inject despite Cache-Control: no-transform (RFC 9111 5.2.2.6)
	Frames            bool // inject into pages in iframes and the like

	// Decode changes pages that are compressed with gzip, zstd or brotli although we asked for identity. They
	// are sent uncompressed.
	Decode bool

	// Uses are the script's requests, to be checked against the page's Content-Security-Policy. Script and
	// Manifest are set from Snippet.
	Uses Addresses
	// Modules means that the script imports modules in its folder.
	Modules bool
	// Blocking omits defer and puts the script before the page's first one, so that it runs before all
	// others. If that place is not the head's end, the manifest's link is left out. In XHTML the script is
	// always at the head's end.
	Blocking bool
	// Displaces matches addresses of scripts, as written in a page, that the page must not load: after our
	// script, they become our script's. Nil for none; not in XHTML.
	Displaces *regexp.Regexp
	// CSPExtend adds to the policies in a page's header what they lack to allow Uses: exact paths, the name
	// of the Trusted Types policy, and a nonce if only nonces count and no shared cache keeps the page.
	// Without it policies are never changed. Report-only policies are never changed.
	CSPExtend bool

	// Credentials makes browsers send cookies and passwords with the manifest's request, which they otherwise
	// don't (HTML, "link type manifest").
	Credentials bool
}

// Injector changes the pages of one site. It is safe for concurrent use.
type Injector struct {
	opts     Options
	manifest markup
	script   markup
	suffix   string    // of entity tags, see etag.go
	site     site      // without an origin
	buffers  sync.Pool // of *[]byte with bufferSize bytes
	zstd     sync.Pool // of *zstd.Decoder

	onPhase func(from, to phase) // for tests: called on each change of a Writer's phase
}

// bufferSize holds one piece of [io.Copy] or Caddy's reverse proxy (32 KiB) and the tags, so that both are
// sent in one Write.
const bufferSize = readSize + 4<<10

const readSize = 32 << 10

// New checks the snippet and returns an Injector for it.
func New(opts Options) (*Injector, error) {
	if err := checkPath(opts.Snippet.Script); err != nil {
		return nil, fmt.Errorf("checking the script's path %q: %w", opts.Snippet.Script, err)
	}
	in := &Injector{opts: opts}
	in.script = markup{`<script src="`, escapeAttr(opts.Snippet.Script), `" defer="defer"`, `></script>`}
	if opts.Blocking {
		in.script[2] = `"`
	}
	if opts.Snippet.Manifest != "" {
		if err := checkPath(opts.Snippet.Manifest); err != nil {
			return nil, fmt.Errorf("checking the manifest's path %q: %w", opts.Snippet.Manifest, err)
		}
		in.manifest = markup{`<link rel="manifest" href="`, escapeAttr(opts.Snippet.Manifest), `"`, `/>`}
		if opts.Credentials {
			in.manifest[2] = `" crossorigin="use-credentials"`
		}
	}
	in.opts.Uses.Script, in.opts.Uses.Manifest = opts.Snippet.Script, opts.Snippet.Manifest
	if opts.Modules {
		file, _, _ := strings.Cut(opts.Snippet.Script, "?")
		in.opts.Uses.Script = file[:strings.LastIndexByte(file, '/')+1]
	}
	if err := in.opts.Uses.check(); err != nil {
		return nil, err
	}
	in.site = in.opts.Uses.site()
	identity := in.String()
	if opts.Displaces != nil {
		identity += opts.Displaces.String()
	}
	sum := sha256.Sum256([]byte(identity))
	in.suffix = suffixPrefix + hex.EncodeToString(sum[:suffixHex/2])
	in.buffers.New = func() any {
		b := make([]byte, bufferSize)
		return &b
	}
	return in, nil
}

// String returns the tags as they appear on a plain page.
func (in *Injector) String() string {
	return string(in.script.append(in.manifest.append(nil, "", "", 0), "", "", 0))
}

// markup is one tag: its start, the URL path, the part after it, and the end. Before the end there may be a
// nonce and ineffective spaces.
type markup [4]string

// size returns the tag's length with the given origin in its URL and a nonce.
func (m markup) size(origin, nonce string) int {
	if m[0] == "" {
		return 0
	}
	n := len(m[0]) + len(origin) + len(m[1]) + len(m[2]) + len(m[3])
	if nonce != "" {
		n += len(nonceAttr) + len(nonce) + 1
	}
	return n
}

const nonceAttr = ` nonce="`

// append appends the tag with pad spaces in it. With an origin the URL is absolute, otherwise root-relative.
func (m markup) append(b []byte, origin, nonce string, pad int) []byte {
	if m[0] == "" {
		return b
	}
	b = append(append(append(append(b, m[0]...), origin...), m[1]...), m[2]...)
	if nonce != "" {
		b = append(append(append(b, nonceAttr...), nonce...), '"')
	}
	return append(appendSpaces(b, pad), m[3]...)
}

func appendSpaces(b []byte, n int) []byte {
	for range n {
		b = append(b, ' ')
	}
	return b
}

// check accepts addresses that a policy can contain.
func (a Addresses) check() error {
	for i, p := range [...]string{a.Worker, a.Connect, a.Image} {
		if p == "" {
			continue
		}
		if err := checkPath(p); err != nil {
			return fmt.Errorf("checking the path %q of the %s: %w", p, [...]Use{UseWorker, UseConnect, UseImage}[i], err)
		}
	}
	// Trusted Types 2.3: the characters of a policy's name.
	if a.TrustedTypes != "" && !only(a.TrustedTypes, base64Chars+"#=.@%") {
		return fmt.Errorf("checking the name %q of the Trusted Types policy: has characters that are not allowed", a.TrustedTypes)
	}
	return nil
}

// checkPath accepts a root-relative URL reference in printable ASCII.
func checkPath(p string) error {
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") {
		return errors.New("must begin with a single slash")
	}
	if len(p) > 1024 {
		return errors.New("is longer than 1024 bytes")
	}
	for _, c := range []byte(p) {
		if c <= ' ' || c > '~' || c == '\\' {
			return fmt.Errorf("has the byte %q", c)
		}
	}
	return nil
}

// escapeAttr escapes text for a double-quoted attribute in HTML and XML.
func escapeAttr(s string) string {
	return strings.NewReplacer("&", "&amp;", `"`, "&#34;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// safeHost returns the request's host for a URL in an attribute, or "" if it is not a plain name or address
// with an optional port.
func safeHost(r *http.Request) string {
	host := r.Host
	if host == "" || len(host) > 255 {
		return ""
	}
	name, port, hasPort := host, "", false
	if end := strings.LastIndexByte(host, ']'); host[0] == '[' && end > 0 {
		name, port = host[1:end], host[end+1:]
		if port != "" && port[0] != ':' {
			return ""
		}
		hasPort = port != ""
		port = strings.TrimPrefix(port, ":")
		if !only(name, "0123456789abcdefABCDEF:.") {
			return ""
		}
	} else {
		name, port, hasPort = strings.Cut(host, ":")
		if !only(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") {
			return ""
		}
	}
	if hasPort && !only(port, "0123456789") {
		return ""
	}
	return host
}

// only reports whether s is not empty and made of the given ASCII characters.
func only(s, chars string) bool {
	for i := range len(s) {
		if strings.IndexByte(chars, s[i]) < 0 {
			return false
		}
	}
	return s != ""
}
