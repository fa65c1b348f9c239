package doctor

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/gif"  // formats of icons
	_ "image/jpeg" // likewise
	_ "image/png"  // likewise
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// manifestIcon is an icon of a manifest (W3C Application Manifest, "icons").
type manifestIcon struct{ Src, Sizes, Type string }

// maxIcons is how many icons are checked.
const maxIcons = 20

// The sizes, in pixels, that browsers need for an installed site: the first is for home screens and
// notifications, the second for Android's start screen and install dialogue.
const iconSize, largeIconSize = 192, 512

// icons: those of the manifest and of notifications are pictures of the declared size. own means
// that the manifest is the site's.
func (d *doctor) icons(ctx context.Context, manifest string, list []manifestIcon, own bool) {
	base, err := url.Parse(manifest)
	if err != nil {
		return
	}
	before, largest := len(d.report.Diagnoses), 0
	seen := map[string]bool{}
	for _, icon := range list[:min(len(list), maxIcons)] {
		address, err := base.Parse(icon.Src)
		if err != nil || icon.Src == "" {
			d.say("icons", Warning, "write a path or a URL", "the manifest's icon %q has no address", icon.Src)
			continue
		}
		seen[address.String()] = true
		largest = max(largest, d.icon(ctx, address.String(), icon.Sizes))
	}
	if icon := d.config.Icon; icon != "" && !seen[d.resolveOrigin(icon)] {
		d.icon(ctx, d.resolveOrigin(icon), "")
	}
	const cure = `add {"src": …, "sizes": "%[1]dx%[1]d", "type": "image/png"} to "icons" in the site's manifest`
	switch {
	case len(d.report.Diagnoses) > before || len(seen) == 0:
	case largest < iconSize:
		d.say("icons", Warning, fmt.Sprintf("have the icon %d pixels wide at least", iconSize), "the largest icon of the manifest is %d pixels wide", largest)
	case largest < largeIconSize && own:
		d.say("icons", Warning, fmt.Sprintf(cure, largeIconSize), "the manifest has no icon of %d pixels: Chrome on Android shows a small one", largeIconSize)
	default:
		d.say("icons", OK, "", "the icons are there, %d pixels wide at most", largest)
	}
}

// resolveOrigin returns the address of what our configuration names.
func (d *doctor) resolveOrigin(ref string) string {
	u, err := d.page.Request.URL.Parse(ref)
	if err != nil {
		return ref
	}
	return u.String()
}

// icon checks an icon, and returns its width; 0 if it can't be used. One without a size of its own,
// such as SVG, fits any.
func (d *doctor) icon(ctx context.Context, address, sizes string) (width int) {
	const cure = "correct the path, in the option icon or the site's manifest"
	resp, body, err := d.get(ctx, address, map[string]string{"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors", "Accept": "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"})
	if err != nil {
		d.say("icons", Warning, cure, "the icon %s does not load: %v", address, err)
		return 0
	}
	kind, _, _ := strings.Cut(strings.ToLower(resp.Header.Get("Content-Type")), ";")
	is, _, _ := strings.Cut(http.DetectContentType(body), ";")
	switch {
	case resp.StatusCode != http.StatusOK:
		d.say("icons", Warning, cure, "the icon %s answers %s", address, resp.Status)
		return 0
	case is == "text/html" || kind == "text/html":
		d.say("icons", Warning, cure+"; the site has a page for every path, so this is not a 404", "the icon %s answers a page of HTML", address)
		return 0
	case !strings.HasPrefix(kind, "image/"):
		d.say("icons", Warning, "have it served as image/png", "the icon %s has the type %q", address, resp.Header.Get("Content-Type"))
		return 0
	case kind == "image/svg+xml":
		return largeIconSize
	}
	config, format, err := image.DecodeConfig(bytes.NewReader(body))
	if err != nil {
		if strings.HasPrefix(is, "image/") {
			return widest(sizes) // the format is unknown here
		}
		d.say("icons", Warning, "make the picture again", "the icon %s is declared %s, and is not", address, kind)
		return 0
	}
	switch said := strings.Fields(strings.ToLower(sizes)); {
	case len(said) > 0 && !slices.Contains(said, "any") && !slices.Contains(said, fmt.Sprintf("%dx%d", config.Width, config.Height)):
		what := "declare that size in the manifest, or make the picture as large as declared"
		if address == d.resolveOrigin(d.config.Icon) {
			what = fmt.Sprintf("give a picture of %[1]d by %[1]d pixels with the option icon", iconSize)
		}
		d.say("icons", Warning, what, "the icon %s is declared %s, and is %dx%d", address, sizes, config.Width, config.Height)
	case config.Width != config.Height:
		d.say("icons", Warning, "cut it square", "the icon %s is not square: %dx%d (%s)", address, config.Width, config.Height, format)
	}
	return config.Width
}

// widest returns the largest width in a list of sizes such as "96x96 192x192".
func widest(sizes string) (width int) {
	for size := range strings.FieldsSeq(strings.ToLower(sizes)) {
		var w, h int
		if size == "any" {
			return largeIconSize
		}
		if n, _ := fmt.Sscanf(size, "%dx%d", &w, &h); n == 2 {
			width = max(width, w)
		}
	}
	return width
}
