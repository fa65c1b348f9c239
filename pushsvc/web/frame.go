package web

import (
	_ "embed"
	"slices"
)

//go:embed dist/frame.js
var frame []byte

// Frame returns the script for the frame in which custom HTML of a pop-up stands,
// in a slice of its own, to be served as text/javascript. It holds no config.
func Frame() []byte { return slices.Clone(frame) }

// FrameDocument returns the document of that frame with the script inside, to be
// served as text/html in UTF-8. The script shows whatever HTML the page around it
// hands over: serve it with a policy that has `sandbox`, so that it never has the
// site's origin.
func FrameDocument() []byte {
	return slices.Concat([]byte("<!DOCTYPE html><meta charset=\"utf-8\"><script>"), frame, []byte("</script>\n"))
}
