package caddymodule_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDidYouMeanOnce: one function writes the question at the end of errors about
// unknown names, so that they all read alike.
func TestDidYouMeanOnce(t *testing.T) {
	var writers []string
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return fs.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := fs.ReadFile(root, path)
		if bytes.Contains(source, []byte("did you mean")) {
			writers = append(writers, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"pushsvc/nearest.go"}; !slices.Equal(writers, want) {
		t.Errorf("the question is written in %q, not in %q alone; call pushsvc.DidYouMean", writers, want)
	}
}
