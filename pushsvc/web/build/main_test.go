package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

// TestDistIsFresh builds in memory and compares bytes with what is committed.
func TestDistIsFresh(t *testing.T) {
	if err := run("..", true); err != nil {
		t.Fatal(err)
	}
}

func TestCheckNamesTheStaleFile(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{"src", "dist"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join("..", folder))); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(dir, true); err != nil {
		t.Fatalf("a copy elsewhere must build to the same bytes: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dist", "sw.js"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := run(dir, true)
	if err == nil || !strings.Contains(err.Error(), "dist/sw.js: stale") {
		t.Fatalf("got error %v, want one that names dist/sw.js", err)
	}
}

func TestBundleReportsBrokenSource(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.ts"), []byte("let = ;"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle(dir, entry{in: "x.ts"}); err == nil || !strings.Contains(err.Error(), "x.ts") {
		t.Fatalf("got error %v, want one that names x.ts", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x.ts"), []byte("console.log(1)"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle(dir, entry{in: "x.ts"}); err == nil || !strings.Contains(err.Error(), placeholder) {
		t.Fatalf("got error %v, want one about the placeholder", err)
	}
}

// TestTypeScript runs the tests of the pure modules under Node.
func TestTypeScript(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not in PATH; the tests under src/**/*.test.ts did not run")
	}
	sources, err := filepath.Glob("../src/*/*.test.ts")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no tests found: %v", err)
	}
	for _, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".test.ts")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := browserOptions("..")
			options.EntryPoints = []string{"./" + filepath.ToSlash(strings.TrimPrefix(source, "../"))}
			options.Platform = api.PlatformNode
			options.Format = api.FormatESModule
			code, err := build(options)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), name+".mjs")
			if err := os.WriteFile(file, code, 0o644); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), node, "--test", file).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if !strings.Contains(string(out), "# pass") && !strings.Contains(string(out), "pass ") {
				t.Fatalf("node reported no passed test:\n%s", out)
			}
		})
	}
}
