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
	if writers, want := sourcesWith(t, ".", "did you mean"), []string{"pushsvc/nearest.go"}; !slices.Equal(writers, want) {
		t.Errorf("the question is written in %q, not in %q alone; call pushsvc.DidYouMean", writers, want)
	}
}

// TestStoreBehindService: the HTTP API reads and writes only through the service, which holds the
// rules about names.
func TestStoreBehindService(t *testing.T) {
	if users := sourcesWith(t, "pushsvc/httpapi", "ervice.Store"); len(users) > 0 {
		t.Errorf("%q use the service's store; call a method of the service", users)
	}
}

// sourcesWith returns the paths of the Go files below folder, other than tests, that contain text.
func sourcesWith(t *testing.T, folder, text string) (paths []string) {
	root := os.DirFS("..")
	err := fs.WalkDir(root, folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return fs.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := fs.ReadFile(root, path)
		if bytes.Contains(source, []byte(text)) {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
