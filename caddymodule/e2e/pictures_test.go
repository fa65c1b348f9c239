//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// picture returns the path for a picture: in the folder named by
// WEBPUSH_E2E_PICTURES, with the README's name for Chromium's; without it, in a
// temporary folder.
func (u *user) picture(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("WEBPUSH_E2E_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	if u.name != "Chromium" {
		name += "-" + u.name
	}
	return filepath.Join(dir, name+".png")
}

// TestPromptLooks checks the prompt on a real page at visitors' usual widths and
// colour schemes.
func TestPromptLooks(t *testing.T) {
	quickstart := http.FileServer(http.Dir("../../examples/quickstart/site"))
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, quickstart, "prompt {\n\t\t\tafter 1 page\n\t\t\ttitle \"Offers, first\"\n\t\t\tbody \"At most two a week. Stop any time.\"\n\t\t\taccept \"Keep me posted\"\n\t\t\treject \"No thanks\"\n\t\t}")
		page := visit(ctx, t, b, p.origins[0])
		for _, view := range []struct {
			name string
			browser.Viewport
		}{
			{"light", browser.Viewport{Width: 1000, Height: 620}},
			{"dark", browser.Viewport{Width: 1000, Height: 620, Dark: true}},
			{"phone", browser.Viewport{Width: 390, Height: 700}},
		} {
			must(t, page.Screenshot(ctx, filepath.Join(t.TempDir(), "sizing.png"), view.Viewport))
			must(t, browser.WaitFor(ctx, page, settled))
			must(t, page.Screenshot(ctx, u.picture(t, "prompt-"+view.name), view.Viewport))
			// The prompt lies inside the view at every width.
			var inside bool
			must(t, page.Eval(ctx, `(() => {
				const r = document.getElementById("webpush-prompt").shadowRoot.getElementById("dialog").getBoundingClientRect();
				return r.width > 0 && r.left >= 0 && r.top >= 0 && r.right <= innerWidth && r.bottom <= innerHeight;
			})()`, &inside))
			if !inside {
				t.Errorf("at %dx%d the prompt is not inside the view", view.Width, view.Height)
			}
		}
		must(t, page.Close(ctx))
	})
}

// TestFacesLook takes pictures of every face at phone and desktop width, light,
// dark and from right to left, a sheet of each.
func TestFacesLook(t *testing.T) {
	phone, desktop := browser.Viewport{Width: 390, Height: 700}, browser.Viewport{Width: 1280, Height: 600}
	dark := func(v browser.Viewport) browser.Viewport { v.Dark = true; return v }
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := facesSite(t)
		for _, view := range []struct {
			name, query string
			browser.Viewport
		}{
			{"phone-light", "lang=en&dir=ltr", phone},
			{"phone-dark", "lang=de&dir=ltr", dark(phone)},
			{"phone-rtl", "lang=ar&dir=rtl", phone},
			{"desktop-light", "lang=en&dir=ltr", desktop},
			{"desktop-dark", "lang=en&dir=ltr", dark(desktop)},
			{"desktop-rtl", "lang=he&dir=rtl", desktop},
		} {
			page := openFaces(ctx, t, b, site+"/?"+view.query)
			dir := t.TempDir()
			must(t, page.Screenshot(ctx, filepath.Join(dir, "size.png"), view.Viewport))
			var files []string
			for _, f := range faces {
				showFace(ctx, t, page, f.options)
				if f.name == "preferences" {
					must(t, page.Eval(ctx, `last.element.scrollIntoView()`, nil))
				}
				files = append(files, filepath.Join(dir, f.name+".png"))
				must(t, page.Screenshot(ctx, files[len(files)-1], view.Viewport))
				must(t, page.Eval(ctx, `scrollTo(0, 0)`, nil))
				var isDark bool
				must(t, page.Eval(ctx, `!!root.querySelector(".dark")`, &isDark))
				if isDark != view.Dark && f.name != "preferences" {
					t.Errorf("%s %s: dark is %v", view.name, f.name, isDark)
				}
			}
			must(t, page.Close(ctx))
			if os.Getenv("WEBPUSH_E2E_PICTURES") != "" {
				writeSheet(t, u.picture(t, "faces-"+view.name), files, view.Width > 1000)
			}
		}
	})
}

// writeSheet puts pictures of one size side by side: four in a row, or two in a
// row at half size.
func writeSheet(t *testing.T, path string, files []string, half bool) {
	t.Helper()
	const gap = 8
	columns := 4
	if half {
		columns = 2
	}
	var sheet *image.RGBA
	for i, file := range files {
		f, err := os.Open(file)
		must(t, err)
		shot, err := png.Decode(f)
		_ = f.Close()
		must(t, err)
		if half {
			shot = halved(shot)
		}
		size := shot.Bounds().Size().Add(image.Pt(gap, gap))
		if sheet == nil {
			rows := (len(files) + columns - 1) / columns
			sheet = image.NewRGBA(image.Rect(0, 0, gap+columns*size.X, gap+rows*size.Y))
			draw.Draw(sheet, sheet.Bounds(), image.NewUniform(color.Gray{0x90}), image.Point{}, draw.Src)
		}
		at := image.Pt(gap+i%columns*size.X, gap+i/columns*size.Y)
		draw.Draw(sheet, shot.Bounds().Add(at), shot, image.Point{}, draw.Src)
	}
	out, err := os.Create(path)
	must(t, err)
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(out, inFewColours(sheet)); err != nil {
		t.Fatal(fmt.Errorf("writing %s: %w", path, err))
	}
	must(t, out.Close())
}

// halved returns a picture at half size; each pixel is the mean of four.
func halved(full image.Image) image.Image {
	b := full.Bounds()
	small := image.NewRGBA(image.Rect(0, 0, b.Dx()/2, b.Dy()/2))
	for y := range small.Bounds().Dy() {
		for x := range small.Bounds().Dx() {
			var sum [3]uint32
			for i := range 4 {
				r, g, bl, _ := full.At(b.Min.X+2*x+i%2, b.Min.Y+2*y+i/2).RGBA()
				sum[0], sum[1], sum[2] = sum[0]+r, sum[1]+g, sum[2]+bl
			}
			small.SetRGBA(x, y, color.RGBA{uint8(sum[0] >> 10), uint8(sum[1] >> 10), uint8(sum[2] >> 10), 0xff})
		}
	}
	return small
}

// inFewColours returns a picture in its 256 most frequent colours, for a file of
// a third of the size.
func inFewColours(full *image.RGBA) *image.Paletted {
	count := make(map[color.RGBA]int)
	b := full.Bounds()
	for y := range b.Dy() {
		for x := range b.Dx() {
			count[full.RGBAAt(x, y)]++
		}
	}
	used := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], bytes.Compare([]byte{a.R, a.G, a.B}, []byte{b.R, b.G, b.B}))
	})
	var palette color.Palette
	for _, c := range used[:min(len(used), 256)] {
		palette = append(palette, c)
	}
	index := make(map[color.RGBA]uint8, len(used))
	for _, c := range used {
		index[c] = uint8(palette.Index(c))
	}
	few := image.NewPaletted(b, palette)
	for y := range b.Dy() {
		for x := range b.Dx() {
			few.SetColorIndex(x, y, index[full.RGBAAt(x, y)])
		}
	}
	return few
}
