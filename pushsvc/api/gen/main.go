// Command gen makes two files of the server's types: openapi.json of package api, and
// server.ts, the types that the scripts of pushsvc/web share with the server. Run it by
// `go generate ./pushsvc/api`; with -check it writes nothing and fails if a committed file
// differs from the types.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

func main() {
	check := flag.Bool("check", false, "compare with the committed files instead of writing them")
	dir := flag.String("C", ".", "folder of package api")
	flag.Parse()
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run makes all files and writes them, or with check compares them.
func run(dir string, check bool) error {
	sources := newDocs(filepath.Join(dir, "..", ".."))
	for _, file := range []struct {
		path string
		make func(*docs) ([]byte, error)
	}{
		{"openapi.json", func(d *docs) ([]byte, error) { return openAPI(api.Routes, httpapi.Routes, d) }},
		{"../web/src/shared/server.ts", func(d *docs) ([]byte, error) { return typeScript(sentToBrowsers, readFromBrowsers, d) }},
	} {
		text, err := file.make(sources)
		if err != nil {
			return fmt.Errorf("making %s: %w", file.path, err)
		}
		path := filepath.Join(dir, filepath.FromSlash(file.path))
		if !check {
			err = os.WriteFile(path, text, 0o644)
		} else if have, readErr := os.ReadFile(path); readErr != nil {
			err = readErr
		} else if !bytes.Equal(have, text) {
			err = errors.New("differs from the types: run go generate ./pushsvc/api")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file.path, err)
		}
	}
	return nil
}
