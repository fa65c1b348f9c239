package web

import (
	_ "embed"
	"slices"
)

//go:embed dist/frame.js
var frame []byte

// Frame returns the script for the frame with the custom HTML of a pop-up, in a
// slice of its own, to be served as text/javascript. It has no config.
func Frame() []byte { return slices.Clone(frame) }

// FrameDocument returns the document of that frame with the script inside, to be
// served as text/html in UTF-8. The script shows any HTML that the page around it
// posts: serve it with a policy that has `sandbox`, so that it never has the site's
// origin.
func FrameDocument() []byte {
	return slices.Concat([]byte("<!DOCTYPE html><meta charset=\"utf-8\"><script>"), frame, []byte("</script>\n"))
}
