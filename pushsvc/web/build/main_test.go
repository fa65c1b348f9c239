package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

// TestDistIsFresh builds in memory and compares the bytes with the committed files.
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
	for name, source := range typeScriptTests(t, "../src/*/*.test.ts") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runTypeScript(t, name, source)
		})
	}
}

// typeScriptTests returns the test files by their names without ending. It skips
// the test if node is not in PATH.
func typeScriptTests(t *testing.T, pattern string) map[string]string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not in PATH; the tests under src/**/*.test.ts did not run")
	}
	sources, err := filepath.Glob(pattern)
	if err != nil || len(sources) == 0 {
		t.Fatalf("no tests found: %v", err)
	}
	named := make(map[string]string)
	for _, source := range sources {
		named[strings.TrimSuffix(filepath.ToSlash(strings.TrimPrefix(source, "../src/")), ".test.ts")] = source
	}
	return named
}

// runTypeScript runs one file of tests and returns the titles of those that passed.
func runTypeScript(t *testing.T, name, source string) []string {
	t.Helper()
	options := browserOptions("..")
	options.EntryPoints = []string{"./" + filepath.ToSlash(strings.TrimPrefix(source, "../"))}
	options.Platform = api.PlatformNode
	options.Format = api.FormatESModule
	code, err := build(options)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), filepath.Base(name)+".mjs")
	if err := os.WriteFile(file, code, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=tap", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var passed []string
	for _, match := range regexp.MustCompile(`(?m)^ *ok \d+ - (.*)$`).FindAllSubmatch(out, -1) {
		passed = append(passed, string(match[1]))
	}
	if len(passed) == 0 {
		t.Fatalf("node reported no passed test:\n%s", out)
	}
	return passed
}

// backticked matches text between backticks.
var backticked = regexp.MustCompile("`([^`]+)`")

// TestCleverTapTable checks CLEVERTAP.md: every test in it exists, and each name
// is in the title of one of its tests, unless a browser test has the row.
func TestCleverTapTable(t *testing.T) {
	exists := make(map[string]bool)
	for _, pattern := range []string{"../src/compat/*.test.ts", "../src/track/*.test.ts", "../src/onsite/*.test.ts", "../src/popup/*.test.ts", "../src/sw/payload.test.ts", "../src/sdk/keepout.test.ts"} {
		for name, source := range typeScriptTests(t, pattern) {
			for _, title := range runTypeScript(t, name, source) {
				exists[title] = true
			}
		}
	}
	for _, name := range goTests(t, "../../../caddymodule/e2e/*_test.go") {
		exists[name] = true
	}
	checkTable(t, "../CLEVERTAP.md", exists, 100)
}

// TestCleverTapReasons checks that each difference that the browser test explains has
// its row in CLEVERTAP.md.
func TestCleverTapReasons(t *testing.T) {
	cases, err := os.ReadFile("../../../caddymodule/e2e/clevertap/cases.js")
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("../CLEVERTAP.md")
	if err != nil {
		t.Fatal(err)
	}
	reasons := regexp.MustCompile(`\bwhy\("([^"]+)"\)`).FindAllSubmatch(cases, -1)
	for _, reason := range reasons {
		if !strings.Contains(string(table), "\n| "+string(reason[1])+" | ") {
			t.Errorf("CLEVERTAP.md has no row %q", reason[1])
		}
	}
	if len(reasons) < 20 {
		t.Errorf("%d reasons in cases.js", len(reasons))
	}
}

// checkTable checks a table of names: every test in it exists, and each name is in
// the title of one of its tests, unless a browser test has the row.
func checkTable(t *testing.T, file string, exists map[string]bool, least int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 3 || cells[0] == "name" {
			continue
		}
		rows++
		var titles []string
		inBrowser := false
		for _, match := range backticked.FindAllStringSubmatch(cells[2], -1) {
			if !exists[match[1]] {
				t.Errorf("%s: no test has the title %q", cells[0], match[1])
			}
			titles = append(titles, match[1])
			inBrowser = inBrowser || strings.HasPrefix(match[1], "Test")
		}
		for _, match := range backticked.FindAllStringSubmatch(cells[0], -1) {
			if !inBrowser && !strings.Contains(strings.Join(titles, "\n"), match[1]) {
				t.Errorf("%s: none of its tests names %q", cells[0], match[1])
			}
		}
		if len(titles) == 0 {
			t.Errorf("%s: no test", cells[0])
		}
	}
	if rows < least {
		t.Errorf("%d rows in %s", rows, file)
	}
}

// goTests returns the names of the test functions in some files.
func goTests(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests found: %v", err)
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
			names = append(names, string(match[1]))
		}
	}
	return names
}
