//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// TestPopupsLook takes pictures of every kind at phone and desktop width, light,
// dark and from right to left. WEBPUSH_E2E_PICTURES names a folder to keep them, in
// which popups-desktop.png and popups-phone.png are those of the documentation:
//
//	WEBPUSH_E2E_PICTURES=/tmp/pictures go test -tags e2e -run 'TestPopupsLook$/Chromium' ./caddymodule/e2e/
//	cp /tmp/pictures/popups-*.png .github/images/
func TestPopupsLook(t *testing.T) {
	dir := os.Getenv("WEBPUSH_E2E_PICTURES")
	kept := dir != ""
	if !kept {
		dir = t.TempDir()
	}
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := popupsSite(t)
		for _, view := range []struct {
			name, query string
			browser.Viewport
		}{
			{"phone-light", "lang=en&dir=ltr", browser.Viewport{Width: 390, Height: 700}},
			{"phone-dark", "lang=en&dir=ltr", browser.Viewport{Width: 390, Height: 700, Dark: true}},
			{"desktop-light", "lang=en&dir=ltr", browser.Viewport{Width: 1280, Height: 720}},
			{"desktop-dark", "lang=en&dir=ltr", browser.Viewport{Width: 1280, Height: 720, Dark: true}},
			{"desktop-rtl", "lang=he&dir=rtl", browser.Viewport{Width: 1280, Height: 720}},
		} {
			page := openFaces(ctx, t, b, site+"/?"+view.query)
			must(t, page.Screenshot(ctx, filepath.Join(t.TempDir(), "size.png"), view.Viewport))
			eachPopup(ctx, t, page, func(name string) {
				must(t, page.Screenshot(ctx, filepath.Join(dir, fmt.Sprintf("popup-%s-%s-%s.png", name, view.name, strings.ToLower(u.name))), view.Viewport))
				var dark bool
				must(t, page.Eval(ctx, `!!root.querySelector(".dark")`, &dark))
				if dark != view.Dark {
					t.Errorf("%s %s: dark is %v", view.name, name, dark)
				}
			})
			must(t, page.Close(ctx))
		}
		name := strings.ToLower(u.name)
		if name != "chromium" || !kept {
			return
		}
		shots := func(names ...string) []image.Image {
			var out []image.Image
			for _, shot := range names {
				out = append(out, readPicture(t, filepath.Join(dir, fmt.Sprintf("popup-%s-%s.png", shot, name))))
			}
			return out
		}
		writePicture(t, filepath.Join(dir, "popups-desktop.png"), compose(3, 2, shots("box-desktop-light", "interstitial-desktop-dark",
			"banner-top-desktop-light", "choice-desktop-dark", "corner-desktop-light", "form-desktop-light")))
		writePicture(t, filepath.Join(dir, "popups-phone.png"), compose(5, 1, shots("box-phone-light", "interstitial-phone-light",
			"coupon-phone-light", "choice-phone-dark", "inbox-phone-dark")))
	})
}

// compose puts pictures of one size into rows with a gap, each reduced by a whole
// factor.
func compose(columns, smaller int, pictures []image.Image) image.Image {
	const gap = 16
	size := pictures[0].Bounds().Size().Div(smaller)
	rows := (len(pictures) + columns - 1) / columns
	out := image.NewRGBA(image.Rect(0, 0, columns*(size.X+gap)-gap, rows*(size.Y+gap)-gap))
	for i, picture := range pictures {
		corner := image.Pt(i%columns*(size.X+gap), i/columns*(size.Y+gap))
		for y := range size.Y {
			for x := range size.X {
				out.Set(corner.X+x, corner.Y+y, average(picture, x*smaller, y*smaller, smaller))
			}
		}
	}
	return out
}

// average returns the mean colour of a square.
func average(picture image.Image, x, y, side int) color.Color {
	var r, g, b uint32
	for i := range side * side {
		pr, pg, pb, _ := picture.At(x+i%side, y+i/side).RGBA()
		r, g, b = r+pr, g+pg, b+pb
	}
	n := uint32(side * side)
	return color.RGBA64{uint16(r / n), uint16(g / n), uint16(b / n), 0xffff}
}

func readPicture(t *testing.T, path string) image.Image {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	picture, err := png.Decode(file)
	must(t, err)
	return picture
}

func writePicture(t *testing.T, path string, picture image.Image) {
	t.Helper()
	var out bytes.Buffer
	must(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, picture))
	must(t, os.WriteFile(path, out.Bytes(), 0o644))
}
