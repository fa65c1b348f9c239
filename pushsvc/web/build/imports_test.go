package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mayImport names, for each folder of src, the other folders that its files may import
// from. A type counts like code. Tests and testing may import everything.
var mayImport = map[string][]string{
	"shared":    nil,
	"frame":     {"shared"},
	"sw":        {"shared"},
	"ui":        {"shared"},
	"sdk":       {"shared"},
	"popup":     {"shared", "ui", "sdk"},
	"onsite":    {"shared", "sdk"},
	"track":     {"shared", "sdk"},
	"trouble":   {"shared", "sdk", "ui"},
	"compat":    {"shared", "sdk"},
	"onesignal": {"shared", "sdk"},
}

// importPattern finds the relative addresses of import and export statements and of
// import().
var importPattern = regexp.MustCompile(`(?:\bfrom|\bimport|\bimport\()\s*"(\.[^"]+)"`)

// importsOf returns what each file under dir imports, both without the ending .ts and
// relative to dir. Style sheets are not files of this graph.
func importsOf(dir string) (map[string][]string, error) {
	imports := make(map[string][]string)
	err := filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, ".ts") || strings.HasSuffix(file, ".d.ts") {
			return err
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading a source: %w", err)
		}
		relative, err := filepath.Rel(dir, file)
		if err != nil {
			return fmt.Errorf("naming a source: %w", err)
		}
		name := strings.TrimSuffix(filepath.ToSlash(relative), ".ts")
		imports[name] = nil
		for _, match := range importPattern.FindAllSubmatch(source, -1) {
			imported := path.Join(path.Dir(name), string(match[1]))
			if path.Ext(imported) != ".css" {
				imports[name] = append(imports[name], imported)
			}
		}
		return nil
	})
	return imports, err
}

// circle returns the files of an import circle, the first one also at the end; nil
// without a circle.
func circle(imports map[string][]string) []string {
	done := make(map[string]bool)
	var stack []string
	var visit func(name string) []string
	visit = func(name string) []string {
		if at := slices.Index(stack, name); at >= 0 {
			return append(slices.Clone(stack[at:]), name)
		}
		if done[name] {
			return nil
		}
		stack = append(stack, name)
		for _, imported := range imports[name] {
			if found := visit(imported); found != nil {
				return found
			}
		}
		stack = stack[:len(stack)-1]
		done[name] = true
		return nil
	}
	names := make([]string, 0, len(imports))
	for name := range imports {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if found := visit(name); found != nil {
			return found
		}
	}
	return nil
}

// upward returns the imports that mayImport does not allow, as "file imports file".
func upward(imports map[string][]string) []string {
	var wrong []string
	for name, list := range imports {
		folder, _, _ := strings.Cut(name, "/")
		if folder == "testing" || strings.HasSuffix(name, ".test") {
			continue
		}
		for _, imported := range list {
			other, _, _ := strings.Cut(imported, "/")
			if other != folder && !slices.Contains(mayImport[folder], other) {
				wrong = append(wrong, name+" imports "+imported)
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func TestImports(t *testing.T) {
	imports, err := importsOf("../src")
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range imports {
		folder, _, _ := strings.Cut(name, "/")
		if _, ok := mayImport[folder]; !ok && folder != "testing" {
			t.Errorf("%s: add its folder to mayImport", name)
		}
		for _, imported := range list {
			if _, ok := imports[imported]; !ok {
				if _, err := os.Stat("../src/" + imported + ".d.ts"); err != nil && !strings.HasSuffix(imported, ".json") {
					t.Errorf("%s imports %s, which is not a file", name, imported)
				}
			}
		}
	}
	if found := circle(imports); found != nil {
		t.Errorf("a circle: %s", strings.Join(found, " → "))
	}
	for _, wrong := range upward(imports) {
		t.Errorf("%s: move what both need down, or declare what the caller needs as an interface", wrong)
	}
}

// TestImportRules checks that the rules find what they have to find.
func TestImportRules(t *testing.T) {
	dir := t.TempDir()
	for file, source := range map[string]string{
		"sdk/a.ts":      `import { b } from "./b";`,
		"sdk/b.ts":      `import type { c } from "../shared/c"; export const lazy = () => import("./d");`,
		"sdk/d.ts":      "import {\n  a,\n} from \"./a\";\nimport css from \"./x.css\";",
		"shared/c.ts":   `export { pathAllowed } from "../sdk/e";`,
		"sdk/e.ts":      ``,
		"sdk/a.test.ts": `import { f } from "../compat/f";`,
		"compat/f.ts":   `import "../sdk/e";`,
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	imports, err := importsOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(circle(imports), " "), "sdk/a sdk/b sdk/d sdk/a"; got != want {
		t.Errorf("got circle %q, want %q", got, want)
	}
	if got, want := upward(imports), []string{"shared/c imports sdk/e"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
